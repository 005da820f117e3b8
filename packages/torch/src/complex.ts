/** A complex number, as `item()` gives it for tensors of complex type and as operators take it for a scalar. */
export class Complex {
  constructor(
    readonly re: number,
    readonly im: number,
  ) {}

  toString(): string {
    return `${this.re}${this.im < 0 || Object.is(this.im, -0) ? "-" : "+"}${Math.abs(this.im)}j`;
  }
}

/** What operators take for one number. A number with an integer value does not promote an integer tensor. */
export type Scalar = number | bigint | boolean | Complex;
