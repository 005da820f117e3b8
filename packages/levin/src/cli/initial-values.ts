import type { Node } from "typescript/unstable/ast";
import { readLiteral } from "./type-schema.js";

/** A node of the tree with the fields that some kinds have. */
type AnyNode = Node & {
  name?: AnyNode;
  propertyName?: AnyNode;
  initializer?: AnyNode;
  elements?: readonly AnyNode[];
  parent?: AnyNode;
  left?: AnyNode;
  right?: AnyNode;
  operatorToken?: AnyNode;
  expression?: AnyNode;
  body?: AnyNode;
};

/** The value that a parameter has where none is given: `batchSize = 32`. */
export function initialValue(parameter: Node): unknown {
  const { initializer } = parameter as AnyNode;
  return initializer && readLiteral(initializer.getText());
}

/**
 * The values that the options in a parameter have where they are not given, as far as the source tells them in one of the usual ways:
 * `{ lr = 1e-3 }` as the parameter, `const { lr = 1e-3 } = options` or `options.lr ?? 1e-3` in the body.
 */
export function initialValuesOfOptions(parameter: Node): Map<string, unknown> {
  const values = new Map<string, unknown>();
  const add = (name: AnyNode | undefined, value: AnyNode | undefined) => {
    const literal = value && readLiteral(value.getText());
    if (name && literal !== undefined && !values.has(name.getText())) values.set(name.getText(), literal);
  };
  const addPattern = (pattern: AnyNode) => {
    for (const element of pattern.elements ?? [])
      add(element.propertyName ?? element.name, element.initializer);
  };

  const { name, parent } = parameter as AnyNode;
  if (!name) return values;
  if (name.elements) addPattern(name);
  const options = name.getText();
  const visit = (node: AnyNode): void => {
    if (node.name?.elements && node.initializer?.getText() === options) addPattern(node.name);
    if (node.operatorToken?.getText() === "??" && node.left?.expression?.getText() === options) {
      add(node.left.name, node.right);
    }
    node.forEachChild(visit as (child: Node) => undefined);
  };
  if (parent?.body) visit(parent.body);
  return values;
}
