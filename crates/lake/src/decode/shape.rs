//! What a type of the central schema expects of the columns of a file: one [`Target`] a stored
//! field, with enums and embedded objects resolved, so that decoding never looks at the schema again.
//!
//! In: a type of the [`Schema`]. Out: a [`Shape`] and its Arrow schema. Not here: which column of a
//! file goes to which target (`bind`).

use std::sync::Arc;

use arrow::datatypes::{Field as ArrowField, Schema as ArrowSchema, SchemaRef};
use base::{Error, Kind, Result};
use frame::{DataType, Expr};
use schema::{ColumnSpec, FieldKind, ObjectType, Schema};

/// The stored fields of one type, in the order of their declaration.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The type's API name.
    pub type_name: Arc<str>,
    /// One entry a stored field.
    pub targets: Vec<Target>,
    /// Positions of the key's fields in `targets`.
    pub key: Vec<usize>,
}

/// A stored field and what its values must be.
#[derive(Clone, Debug)]
pub struct Target {
    /// The API name.
    pub name: Arc<str>,
    /// Other names that a file may use: the physical column and earlier names.
    pub aliases: Vec<Arc<str>>,
    /// The type of the schema.
    pub data_type: DataType,
    /// What a value must be.
    pub expect: Expect,
    /// Whether it may be absent.
    pub nullable: bool,
    /// What an absent value becomes.
    pub default: Option<Expr>,
    /// Whether it is an `@media` field.
    pub media: bool,
}

impl Target {
    /// What a value of a text format must be: of an `@media` field the path of a file, which
    /// `import` replaces by the media themselves.
    pub fn read_as(&self) -> Expect {
        if self.media { Expect::Scalar(DataType::String) } else { self.expect.clone() }
    }
}

/// What a value must be, down to the items of lists and the fields of embedded objects.
#[derive(Clone, Debug)]
pub enum Expect {
    /// A value without parts.
    Scalar(DataType),
    /// `ID`: text, or an integer taken as text.
    Id,
    /// One of these names.
    Enum(Arc<[Arc<str>]>),
    /// Numbers of a fixed count.
    Vector(u32),
    /// Items of one kind.
    List(Box<Part>),
    /// Named parts.
    Struct(Vec<Part>),
}

/// An item of a list or a field of an embedded object.
#[derive(Clone, Debug)]
pub struct Part {
    /// The name; `item` in a list.
    pub name: Arc<str>,
    /// What it must be.
    pub expect: Expect,
    /// Whether it may be absent.
    pub nullable: bool,
    /// Its type.
    pub data_type: DataType,
}

impl Shape {
    /// The shape of a table's rows.
    pub fn of(schema: &Schema, type_name: &str) -> Result<Shape> {
        let (_, object) = schema.type_named(type_name).ok_or_else(|| {
            Error::not_found(format!("there is no type `{type_name}` in the schema"))
                .hint("run `headwater tables` to list the tables")
        })?;
        let table = object.table().ok_or_else(|| {
            Error::new(Kind::Unsupported, format!("type `{type_name}` is not a table"))
                .hint(format!("add `@table` to `{type_name}`, or import into a type that has it"))
        })?;
        let targets = targets(schema, object)?;
        let key = table.key.iter().filter_map(|id| {
            let name = &object.field(*id).name;
            targets.iter().position(|target| target.name == *name)
        });
        let key = key.collect();
        Ok(Shape { type_name: object.name.clone(), targets, key })
    }

    /// The Arrow schema of batches in this shape.
    pub fn arrow(&self) -> SchemaRef {
        let fields = self.targets.iter().map(|target| {
            ArrowField::new(target.name.as_ref(), target.data_type.to_arrow(), target.nullable)
        });
        Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
    }

    /// The positions of the `@media` fields.
    pub fn media(&self) -> impl Iterator<Item = usize> + '_ {
        self.targets.iter().enumerate().filter(|(_, target)| target.media).map(|(index, _)| index)
    }
}

fn targets(schema: &Schema, object: &ObjectType) -> Result<Vec<Target>> {
    let columns = object.columns().map(|(field, column)| {
        let mut aliases: Vec<_> = field.was.iter().map(|was| was.name.clone()).collect();
        if column.column != field.name {
            aliases.push(column.column.clone());
        }
        Ok(Target {
            name: field.name.clone(),
            aliases,
            data_type: column.data_type.clone(),
            expect: expect(schema, column)?,
            nullable: field.nullable,
            default: column.default.clone(),
            media: matches!(field.kind, FieldKind::Media(_)),
        })
    });
    columns.collect()
}

fn expect(schema: &Schema, column: &ColumnSpec) -> Result<Expect> {
    expect_type(schema, &column.data_type, column)
}

/// `column` carries what the plain type does not say: the enum, the embedded type, `ID`.
fn expect_type(schema: &Schema, data_type: &DataType, column: &ColumnSpec) -> Result<Expect> {
    Ok(match data_type {
        DataType::List { item, nullable } => Expect::List(Box::new(Part {
            name: "item".into(),
            expect: expect_type(schema, item, column)?,
            nullable: *nullable,
            data_type: item.as_ref().clone(),
        })),
        DataType::Struct(fields) => match column.embedded {
            Some(id) => Expect::Struct(embedded_parts(schema, schema.object(id))?),
            None => Expect::Struct(fields.iter().map(plain_part).collect()),
        },
        DataType::Vector { dimension } => Expect::Vector(*dimension),
        DataType::String => match &column.enum_name {
            Some(name) => Expect::Enum(enum_values(schema, name)?),
            None if column.is_id => Expect::Id,
            None => Expect::Scalar(DataType::String),
        },
        other => Expect::Scalar(other.clone()),
    })
}

fn embedded_parts(schema: &Schema, object: &ObjectType) -> Result<Vec<Part>> {
    let parts = object.columns().map(|(field, column)| {
        Ok(Part {
            name: field.name.clone(),
            expect: expect(schema, column)?,
            nullable: field.nullable,
            data_type: column.data_type.clone(),
        })
    });
    parts.collect()
}

/// A field of a struct that no type of the schema stands behind: the measures of `@media`.
fn plain_part(field: &frame::Field) -> Part {
    Part {
        name: field.name.clone(),
        expect: plain_expect(&field.data_type),
        nullable: field.nullable,
        data_type: field.data_type.clone(),
    }
}

fn plain_expect(data_type: &DataType) -> Expect {
    match data_type {
        DataType::List { item, nullable } => Expect::List(Box::new(Part {
            name: "item".into(),
            expect: plain_expect(item),
            nullable: *nullable,
            data_type: item.as_ref().clone(),
        })),
        DataType::Struct(fields) => Expect::Struct(fields.iter().map(plain_part).collect()),
        DataType::Vector { dimension } => Expect::Vector(*dimension),
        other => Expect::Scalar(other.clone()),
    }
}

fn enum_values(schema: &Schema, name: &str) -> Result<Arc<[Arc<str>]>> {
    let found = schema.enums.get(name).ok_or_else(|| {
        Error::internal(format!("the compiled schema refers to the missing enum `{name}`"))
    })?;
    Ok(found.values.clone().into())
}
