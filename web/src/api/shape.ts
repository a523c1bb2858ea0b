/**
 * What the project's own API offers, asked of the API itself: the fields of its types, and the field of
 * `Query` that gives many rows of a type, and the one that gives a row by its key.
 */
import { graphql } from "./graphql";

/** A type as introspection spells it, wrappers outside. */
export interface TypeRef {
  kind: string;
  name: string | null;
  ofType: TypeRef | null;
}

export interface ApiField {
  name: string;
  isDeprecated: boolean;
  type: TypeRef;
  args: { name: string; type: TypeRef }[];
}

interface ApiType {
  name: string;
  kind: string;
  fields: ApiField[] | null;
  inputFields: { name: string }[] | null;
}

/** The API. */
export class Shape {
  private readonly types: Map<string, ApiType>;

  constructor(types: ApiType[], private readonly queryName: string) {
    this.types = new Map(types.map((type) => [type.name, type]));
  }

  /** The fields of an object type that are not on their way out. */
  fields(typeName: string): ApiField[] {
    return (this.types.get(typeName)?.fields ?? []).filter((field) => !field.isDeprecated);
  }

  /** The field of `Query` that gives a page of this type's rows. */
  list(typeName: string): ApiField | null {
    return this.root(`${typeName}Connection`);
  }

  /** The field of `Query` that gives one row by its key. */
  one(typeName: string): ApiField | null {
    return this.root(typeName);
  }

  /** Names of the fields that rows may be ordered by. */
  orderable(typeName: string): string[] {
    return this.types.get(`${typeName}OrderBy`)?.inputFields?.map((field) => field.name) ?? [];
  }

  /** Whether values of the type have fields of their own. */
  isObject(typeName: string): boolean {
    return this.types.get(typeName)?.kind === "OBJECT";
  }

  private root(gives: string): ApiField | null {
    return this.fields(this.queryName).find((field) => innerName(field.type) === gives) ?? null;
  }
}

/** The name below all wrappers. */
export function innerName(type: TypeRef): string {
  return type.ofType ? innerName(type.ofType) : (type.name ?? "");
}

/** Whether there may be many. */
export function isList(type: TypeRef): boolean {
  return type.kind === "LIST" || (type.ofType !== null && isList(type.ofType));
}

/** As SDL spells it: `[String!]!`. */
export function spelled(type: TypeRef): string {
  if (type.kind === "NON_NULL") return `${type.ofType ? spelled(type.ofType) : ""}!`;
  if (type.kind === "LIST") return `[${type.ofType ? spelled(type.ofType) : ""}]`;
  return type.name ?? "";
}

const REF = "kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }";
const QUESTION = `{ __schema { queryType { name } types { name kind inputFields { name }
  fields(includeDeprecated: true) { name isDeprecated type { ${REF} } args { name type { ${REF} } } } } } }`;

/** Asks the API for its shape. */
export async function shape(): Promise<Shape> {
  const { __schema } = await graphql<{ __schema: { queryType: { name: string }; types: ApiType[] } }>(QUESTION);
  return new Shape(__schema.types, __schema.queryType.name);
}
