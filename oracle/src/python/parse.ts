/** A Python expression as a tree. Only expressions: no statements, no comprehensions, no lambdas. */
export type Node =
  | { kind: "int"; value: number | bigint }
  | { kind: "float"; value: number }
  | { kind: "string"; value: string }
  | { kind: "name"; name: string }
  | { kind: "list" | "tuple"; items: Node[] }
  | { kind: "attribute"; of: Node; name: string }
  | { kind: "call"; callee: Node; args: Node[]; kwargs: [string, Node][] }
  | { kind: "index"; of: Node; index: Node }
  | { kind: "slice"; parts: (Node | null)[] }
  | { kind: "unary"; operator: string; operand: Node }
  | { kind: "binary"; operator: string; left: Node; right: Node }
  | { kind: "compare"; first: Node; rest: [string, Node][] }
  | { kind: "if"; test: Node; then: Node; otherwise: Node };

const TOKEN =
  /\s*(?:(\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)|(\d+)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([A-Za-z_]\w*)|(\.\.\.|\*\*|\/\/|==|!=|<=|>=|[-+*/%@<>()[\],.:=]))/y;

interface Token {
  kind: "float" | "int" | "string" | "name" | "symbol" | "end";
  text: string;
}

function tokens(text: string): Token[] {
  const found: Token[] = [];
  const kinds = ["float", "int", "string", "name", "symbol"] as const;
  TOKEN.lastIndex = 0;
  let at = 0;
  while (text.slice(at).trim() !== "") {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null)
      throw new SyntaxError(`cannot read ${JSON.stringify(text.slice(at))} in ${JSON.stringify(text)}`);
    const group = match.slice(1).findIndex((part) => part !== undefined);
    found.push({ kind: kinds[group] as Token["kind"], text: match[group + 1] as string });
    at = TOKEN.lastIndex;
  }
  found.push({ kind: "end", text: "" });
  return found;
}

/** Reads one Python expression. Throws a SyntaxError for anything else. */
export function parsePython(text: string): Node {
  const parser = new Parser(text);
  return parser.whole();
}

/** Recursive descent, one method per level of precedence, loosest first. */
class Parser {
  readonly #tokens: Token[];
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokens(text);
  }

  whole(): Node {
    const node = this.#list("end");
    if (this.#next.kind !== "end") this.#unexpected();
    return node;
  }

  get #next(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #take(): Token {
    const token = this.#next;
    this.#at += 1;
    return token;
  }

  #accept(...texts: string[]): string | undefined {
    const { kind, text } = this.#next;
    if ((kind !== "symbol" && kind !== "name") || !texts.includes(text)) return undefined;
    this.#at += 1;
    return text;
  }

  #expect(text: string): void {
    if (this.#accept(text) === undefined) this.#unexpected(text);
  }

  #unexpected(wanted?: string): never {
    const what = this.#next.kind === "end" ? "the end" : JSON.stringify(this.#next.text);
    throw new SyntaxError(
      `unexpected ${what}${wanted ? `, wanted ${wanted}` : ""} in ${JSON.stringify(this.#text)}`,
    );
  }

  /** `a`, or the tuple `a, b`, up to a closing symbol. */
  #list(closing: string): Node {
    const first = this.#conditional();
    if (this.#next.text !== ",") return first;
    const items = [first];
    while (this.#accept(",") !== undefined) {
      if (this.#next.text === closing || this.#next.kind === "end") break;
      items.push(this.#conditional());
    }
    return { kind: "tuple", items };
  }

  #conditional(): Node {
    const then = this.#or();
    if (this.#accept("if") === undefined) return then;
    const test = this.#or();
    this.#expect("else");
    return { kind: "if", test, then, otherwise: this.#conditional() };
  }

  #binary(operators: string[], operand: () => Node): Node {
    let left = operand();
    for (;;) {
      const operator = this.#accept(...operators);
      if (operator === undefined) return left;
      left = { kind: "binary", operator, left, right: operand() };
    }
  }

  #or(): Node {
    return this.#binary(["or"], () => this.#binary(["and"], () => this.#not()));
  }

  #not(): Node {
    if (this.#accept("not") === undefined) return this.#comparison();
    return { kind: "unary", operator: "not", operand: this.#not() };
  }

  #comparison(): Node {
    const first = this.#sum();
    const rest: [string, Node][] = [];
    for (;;) {
      const operator = this.#accept("==", "!=", "<", "<=", ">", ">=");
      if (operator === undefined) break;
      rest.push([operator, this.#sum()]);
    }
    return rest.length === 0 ? first : { kind: "compare", first, rest };
  }

  #sum(): Node {
    return this.#binary(["+", "-"], () => this.#binary(["*", "/", "//", "%", "@"], () => this.#signed()));
  }

  #signed(): Node {
    const operator = this.#accept("-", "+");
    return operator === undefined ? this.#power() : { kind: "unary", operator, operand: this.#signed() };
  }

  #power(): Node {
    const base = this.#postfix();
    if (this.#accept("**") === undefined) return base;
    return { kind: "binary", operator: "**", left: base, right: this.#signed() };
  }

  #postfix(): Node {
    let node = this.#atom();
    for (;;) {
      if (this.#accept(".") !== undefined) node = { kind: "attribute", of: node, name: this.#take().text };
      else if (this.#accept("(") !== undefined) node = this.#call(node);
      else if (this.#accept("[") !== undefined) node = { kind: "index", of: node, index: this.#subscript() };
      else return node;
    }
  }

  #call(callee: Node): Node {
    const args: Node[] = [];
    const kwargs: [string, Node][] = [];
    while (this.#accept(")") === undefined) {
      const name = this.#next;
      if (name.kind === "name" && this.#tokens[this.#at + 1]?.text === "=") {
        this.#at += 2;
        kwargs.push([name.text, this.#conditional()]);
      } else {
        args.push(this.#conditional());
      }
      if (this.#next.text !== ")") this.#expect(",");
    }
    return { kind: "call", callee, args, kwargs };
  }

  #subscript(): Node {
    const items: Node[] = [];
    let tuple = false;
    while (this.#next.text !== "]") {
      items.push(this.#sliceOrValue());
      if (this.#accept(",") === undefined) break;
      tuple = true;
    }
    this.#expect("]");
    return items.length === 1 && !tuple ? (items[0] as Node) : { kind: "tuple", items };
  }

  #sliceOrValue(): Node {
    const parts: (Node | null)[] = [];
    const value = () => ([":", ",", "]"].includes(this.#next.text) ? null : this.#conditional());
    parts.push(value());
    if (this.#next.text !== ":") return parts[0] as Node;
    while (this.#accept(":") !== undefined) parts.push(value());
    return { kind: "slice", parts };
  }

  #atom(): Node {
    if (this.#accept("(") !== undefined) {
      if (this.#accept(")") !== undefined) return { kind: "tuple", items: [] };
      const inner = this.#list(")");
      this.#expect(")");
      return inner;
    }
    if (this.#accept("[") !== undefined) {
      const items: Node[] = [];
      while (this.#accept("]") === undefined) {
        items.push(this.#conditional());
        if (this.#next.text !== "]") this.#expect(",");
      }
      return { kind: "list", items };
    }
    if (this.#accept("...") !== undefined) return { kind: "string", value: "..." };
    const token = this.#take();
    if (token.kind === "float") return { kind: "float", value: Number(token.text) };
    if (token.kind === "int") {
      const exact = BigInt(token.text);
      return { kind: "int", value: Number.isSafeInteger(Number(exact)) ? Number(exact) : exact };
    }
    if (token.kind === "string")
      return { kind: "string", value: token.text.slice(1, -1).replace(/\\(.)/g, "$1") };
    if (token.kind === "name") return { kind: "name", name: token.text };
    this.#at -= 1;
    return this.#unexpected();
  }
}
