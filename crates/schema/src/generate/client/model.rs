//! What a typed client is made from: operations, the shapes of their answers, and the types of the API
//! that they reach.
//!
//! Shapes are exact: fields of fragments are merged, a field is optional where a variable decides
//! whether it is there, and where the answer depends on the type of an object there is a variant for each
//! type. No language is known here.

/// The operations of a program, and everything that they reach.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The fingerprint of the schema that the documents were checked against.
    pub fingerprint: String,
    /// What the program calls itself, as `web` or `web/3.1`.
    pub name: Option<String>,
    /// How operations name their documents.
    pub sending: Sending,
    /// The operations, by name.
    pub operations: Vec<Operation>,
    /// The fragments, by name.
    pub fragments: Vec<Fragment>,
    /// The shapes of all objects in answers; others name them by position.
    pub shapes: Vec<Shape>,
    /// The input objects that variables reach.
    pub inputs: Vec<Input>,
    /// The enums that variables and answers reach.
    pub enums: Vec<EnumType>,
    /// The scalars beyond those of the specification that variables and answers reach.
    pub scalars: Vec<Scalar>,
}

/// How a request says which document it asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sending {
    /// By its text.
    #[default]
    Text,
    /// By its hash, and by its text when the server does not know it yet.
    Persisted,
    /// By its id alone: it is registered, and its text stays out of the program.
    Id,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// It reads.
    Query,
    /// It changes.
    Mutation,
    /// It listens.
    Subscription,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What it does.
    pub kind: OperationKind,
    /// Its name in the document.
    pub name: String,
    /// Its variables, in the order of the document.
    pub variables: Vec<InputField>,
    /// The shape of its data.
    pub shape: usize,
    /// The text that is sent, with the fragments that it spreads.
    pub text: String,
    /// The SHA-256 of the text, in hexadecimal.
    pub id: String,
}

/// A named fragment.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// Its name in the document.
    pub name: String,
    /// The shape of an object that it is spread on.
    pub shape: usize,
}

/// The shape of an object in an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Where it is: the operation or fragment, then keys of the answer.
    pub path: Vec<String>,
    /// The type of the API, which may be an interface or a union.
    pub type_name: String,
    /// Whether a server may give objects of types that this client does not know.
    pub is_open: bool,
    /// The objects of types that no variant is for.
    pub base: Variant,
    /// One for each type whose objects have more than the base.
    pub variants: Vec<Variant>,
}

/// The fields of an object of certain types.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// The types, as `__typename` gives them.
    pub types: Vec<String>,
    /// The fields, in the order of the answer.
    pub fields: Vec<Field>,
    /// The fragments whose fields are all here.
    pub fragments: Vec<String>,
}

/// One field of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its key in the answer.
    pub key: String,
    /// What the schema says of it.
    pub description: Option<String>,
    /// Why it should not be used any more.
    pub deprecated: Option<String>,
    /// Its type.
    pub ty: ValueType,
    /// Whether it may be left out, for `@skip` or `@include`.
    pub optional: bool,
    /// Whether it is the name of the object's type.
    pub is_typename: bool,
}

/// A type of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueType {
    /// Whether it may be null.
    pub nullable: bool,
    /// What it is else.
    pub of: TypeOf,
}

/// What a value is that is not null.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeOf {
    /// A list.
    List(Box<ValueType>),
    /// A scalar, by its name.
    Scalar(String),
    /// An enum, by its name.
    Enum(String),
    /// An input object, by its name.
    Input(String),
    /// An object of an answer, by the position of its shape.
    Shape(usize),
}

/// A variable, or a field of an input object.
#[derive(Clone, Debug)]
pub struct InputField {
    /// Its name.
    pub name: String,
    /// What the schema says of it.
    pub description: Option<String>,
    /// Its type.
    pub ty: ValueType,
    /// Whether it may not be left out.
    pub required: bool,
    /// What it is when left out, as GraphQL writes it.
    pub default: Option<String>,
}

/// An input object.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// What the schema says of it.
    pub description: Option<String>,
    /// Its fields.
    pub fields: Vec<InputField>,
    /// Whether exactly one field is given.
    pub one_of: bool,
}

/// An enum.
#[derive(Clone, Debug)]
pub struct EnumType {
    /// Its name.
    pub name: String,
    /// What the schema says of it.
    pub description: Option<String>,
    /// Its values.
    pub values: Vec<EnumValue>,
}

/// A value of an enum.
#[derive(Clone, Debug)]
pub struct EnumValue {
    /// Its name.
    pub name: String,
    /// What the schema says of it.
    pub description: Option<String>,
    /// Why it should not be used any more.
    pub deprecated: Option<String>,
}

/// A scalar of the API's own.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// Its name.
    pub name: String,
    /// What the schema says of it.
    pub description: Option<String>,
}

impl Client {
    /// The shape of a fragment.
    pub fn fragment(&self, name: &str) -> Option<&Fragment> {
        self.fragments.iter().find(|fragment| fragment.name == name)
    }

    /// An input object by its name.
    pub fn input(&self, name: &str) -> Option<&Input> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Whether an operation listens.
    pub fn has_subscriptions(&self) -> bool {
        self.operations.iter().any(|operation| operation.kind == OperationKind::Subscription)
    }
}

impl OperationKind {
    /// The word of the language.
    pub fn word(self) -> &'static str {
        match self {
            OperationKind::Query => "query",
            OperationKind::Mutation => "mutation",
            OperationKind::Subscription => "subscription",
        }
    }
}

impl Sending {
    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Sending::Text => "text",
            Sending::Persisted => "persisted",
            Sending::Id => "id",
        }
    }

    /// The way that a word of the command line means.
    pub fn parse(word: &str) -> Option<Self> {
        [Sending::Text, Sending::Persisted, Sending::Id].into_iter().find(|way| way.word() == word)
    }
}
