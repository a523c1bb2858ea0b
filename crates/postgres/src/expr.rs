//! Predicates as SQL. In: a typed expression and what its fields are. Out: text, whose values are arguments
//! of the statement. A column that is compared with a value stands bare where that means the same, so that
//! the database's indexes serve; text is compared and ordered by its bytes. What the database would compute
//! otherwise than the house does is refused. Not here: orders and pages (`scan`).

use base::{Error, Kind, Principal, Result};
use frame::{BinaryOp, DataType, Expr, Field, Function, Node, UnaryOp, Value};

use crate::catalog::{Bound, BoundColumn, Form, oid};
use crate::encode;
use crate::statement::{Argument, Statement, quoted};

/// What the fields of an expression are.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// Columns of a table.
    Table(&'a Bound),
    /// Columns of an answer of groups, by their names.
    Answer(&'a [Field]),
}

/// Writes expressions into a statement.
pub(crate) struct Writer<'a> {
    /// What fields are.
    pub(crate) scope: Scope<'a>,
    /// Who asks.
    pub(crate) viewer: &'a Principal,
    /// Where arguments go.
    pub(crate) statement: &'a mut Statement,
}

/// A field as comparisons may use it.
struct Operand {
    /// As the type that questions know.
    value: String,
    /// As it stands in the table.
    bare: String,
    /// Its form there; of a column of an answer the natural one.
    form: Option<Form>,
    data_type: DataType,
}

/// The value of a column as the type that questions know.
pub(crate) fn value_of(column: &BoundColumn) -> String {
    let bare = &column.quoted;
    let found = column.form.oid;
    let is_text = [oid::TEXT, oid::VARCHAR].contains(&found);
    match &column.field.data_type {
        DataType::Float if found == oid::FLOAT4 => format!("{bare}::float8"),
        DataType::Int if found == oid::INT2 => format!("{bare}::int4"),
        DataType::Long if found != oid::INT8 => format!("{bare}::int8"),
        DataType::String if !is_text => format!("{bare}::text"),
        DataType::List { item, .. } if **item == DataType::String && !is_text => {
            format!("{bare}::text[]")
        }
        DataType::DateTime if found == oid::TIMESTAMP => format!("({bare} AT TIME ZONE 'UTC')"),
        _ => bare.clone(),
    }
}

/// What an order sorts by: text by its bytes, all else as the database does.
pub(crate) fn ordered(text: &str, data_type: &DataType) -> String {
    match data_type {
        DataType::String => format!("({text} COLLATE \"C\")"),
        _ => text.to_owned(),
    }
}

impl Writer<'_> {
    /// The expression.
    pub(crate) fn write(&mut self, expr: &Expr) -> Result<String> {
        Ok(match &expr.node {
            Node::Literal(value) => self.place(encode::plain(value, &expr.data_type)?),
            Node::Field(path) => self.operand(path)?.value,
            Node::Viewer(attribute) => self.viewer_attribute(attribute)?,
            Node::Unary(op, operand) => self.unary(*op, operand, &expr.data_type)?,
            Node::Binary(op, left, right) => self.binary(*op, left, right, &expr.data_type)?,
            Node::Case { branches, otherwise } => self.case(branches, otherwise.as_deref())?,
            Node::Coalesce(operands) => format!("COALESCE({})", self.list(operands)?),
            Node::Call(function, arguments) => self.call(*function, arguments)?,
            Node::InList(operand, values) => self.in_list(operand, values)?,
            Node::Contains(operand, value) => self.contains(operand, value)?,
            Node::Cast(operand) => self.cast(operand, &expr.data_type)?,
        })
    }

    /// What an order of a field sorts by.
    pub(crate) fn sort_key(&mut self, field: &str) -> Result<(String, DataType)> {
        let operand = self.operand(&[field.to_owned()])?;
        let is_plain = operand.data_type != DataType::String;
        let text = if is_plain { &operand.bare } else { &operand.value };
        Ok((ordered(text, &operand.data_type), operand.data_type))
    }

    /// Rows whose field stands against a value as the operator says.
    pub(crate) fn compare(&mut self, field: &str, op: BinaryOp, value: &Value) -> Result<String> {
        let operand = self.operand(&[field.to_owned()])?;
        self.compared(&operand, op, value)
    }

    fn place(&mut self, argument: Argument) -> String {
        self.statement.place(argument)
    }

    fn operand(&self, path: &[String]) -> Result<Operand> {
        let [name] = path else {
            return Err(unsupported(&format!("`{}`: a column has no fields", path.join("."))));
        };
        match self.scope {
            Scope::Table(bound) => {
                let column = bound.column(name)?;
                Ok(Operand {
                    value: value_of(column),
                    bare: column.quoted.clone(),
                    form: Some(column.form.clone()),
                    data_type: column.field.data_type.clone(),
                })
            }
            Scope::Answer(columns) => {
                let (_, field) = frame::aggregate::column_named(columns, name)?;
                let (value, data_type) = (quoted(name), field.data_type.clone());
                Ok(Operand { bare: value.clone(), value, form: None, data_type })
            }
        }
    }

    fn viewer_attribute(&mut self, attribute: &str) -> Result<String> {
        let text = match attribute {
            "id" => self.viewer.subject.as_ref(),
            "team" => self.viewer.team.as_str(),
            "scope" => self.viewer.scope.as_str(),
            _ => return Err(Error::internal(format!("a viewer has no attribute `{attribute}`"))),
        };
        let text = Value::from(text);
        Ok(self.place(encode::plain(&text, &DataType::String)?))
    }

    fn list(&mut self, operands: &[Expr]) -> Result<String> {
        let texts = operands.iter().map(|operand| self.write(operand));
        Ok(texts.collect::<Result<Vec<_>>>()?.join(", "))
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr, data_type: &DataType) -> Result<String> {
        if let (UnaryOp::IsNull | UnaryOp::IsNotNull, Node::Field(path)) = (op, &operand.node) {
            let bare = self.operand(path)?.bare;
            return Ok(null_test(op, &bare));
        }
        let inner = self.write(operand)?;
        match op {
            UnaryOp::Not => Ok(format!("(NOT {inner})")),
            UnaryOp::IsNull | UnaryOp::IsNotNull => Ok(null_test(op, &inner)),
            UnaryOp::Negate => whole(&format!("(- {inner})"), data_type),
        }
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        left: &Expr,
        right: &Expr,
        data_type: &DataType,
    ) -> Result<String> {
        if let (Some(_), Node::Field(path), Node::Literal(value)) =
            (comparison(op), &left.node, &right.node)
        {
            let operand = self.operand(path)?;
            return self.compared(&operand, op, value);
        }
        let of_text = left.data_type == DataType::String;
        let (left, right) = (self.write(left)?, self.write(right)?);
        if let Some(sign) = comparison(op) {
            let collate = if of_text { " COLLATE \"C\"" } else { "" };
            return Ok(format!("({left}{collate} {sign} {right})"));
        }
        match op {
            BinaryOp::Or => Ok(format!("({left} OR {right})")),
            BinaryOp::And => Ok(format!("({left} AND {right})")),
            BinaryOp::Concat => Ok(format!("({left} || {right})")),
            BinaryOp::Add => whole(&format!("({left} + {right})"), data_type),
            BinaryOp::Subtract => whole(&format!("({left} - {right})"), data_type),
            BinaryOp::Multiply => whole(&format!("({left} * {right})"), data_type),
            BinaryOp::Divide => whole(&format!("({left} / {right})"), data_type),
            BinaryOp::Modulo => whole(&format!("({left} % {right})"), data_type),
            _ => Err(Error::internal("a comparison was taken for another operator")),
        }
    }

    /// A field against a value, the column bare where its index may then serve.
    fn compared(&mut self, operand: &Operand, op: BinaryOp, value: &Value) -> Result<String> {
        let sign =
            comparison(op).ok_or_else(|| Error::internal("this operator compares nothing"))?;
        let is_equality = matches!(op, BinaryOp::Eq | BinaryOp::NotEq);
        if let (true, Some(argument)) = (is_equality, operand.exactly(value)) {
            let place = self.place(argument);
            return Ok(format!("({} {sign} {place})", operand.bare));
        }
        if operand.data_type == DataType::String {
            let place = self.place(encode::plain(value, &DataType::String)?);
            return Ok(format!("({} COLLATE \"C\" {sign} {place})", operand.value));
        }
        let argument = match (&operand.form, &operand.data_type) {
            (Some(form), DataType::DateTime | DataType::Json) => encode::for_column(value, form)?,
            (_, data_type) => encode::plain(value, data_type)?,
        };
        let place = self.place(argument);
        Ok(format!("({} {sign} {place})", operand.bare))
    }

    fn in_list(&mut self, operand: &Expr, values: &[Value]) -> Result<String> {
        let Node::Field(path) = &operand.node else {
            let inner = self.write(operand)?;
            let item = encode::natural(&operand.data_type)?;
            let list = encode::list(values, item, encode::natural_list(item))?;
            let collate = collation(&operand.data_type);
            let place = self.place(list);
            return Ok(never_for_null(
                &inner,
                values,
                format!("({inner}{collate} = ANY({place}))"),
            ));
        };
        let operand = self.operand(path)?;
        let (left, item, list, wanted) = operand.any_of(values)?;
        let place = self.place(encode::list(&wanted, item, list)?);
        Ok(never_for_null(&operand.bare, &wanted, format!("({left} = ANY({place}))")))
    }

    fn contains(&mut self, operand: &Expr, value: &Value) -> Result<String> {
        let Node::Field(path) = &operand.node else {
            return Err(unsupported("a list that is no column"));
        };
        let column = self.operand(path)?;
        if value.is_null() {
            return Ok("NULL::bool".to_owned());
        }
        let bare_text = column.value == column.bare;
        let (item, list) = match (&column.form, bare_text) {
            (Some(form), true) => (form.oid, form.list),
            _ => (oid::TEXT, encode::natural_list(oid::TEXT)),
        };
        // A value that the column cannot hold is in none of its lists.
        let argument = encode::list(std::slice::from_ref(value), item, list);
        Ok(match argument {
            Ok(argument) => {
                let is_loose = column.form.as_ref().is_some_and(|form| form.loose);
                let collate = if is_loose { " COLLATE \"C\"" } else { "" };
                format!("({}{collate} @> {})", column.value, self.place(argument))
            }
            Err(_) => format!("(CASE WHEN {} IS NULL THEN NULL ELSE false END)", column.bare),
        })
    }

    fn case(&mut self, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) -> Result<String> {
        let mut text = "(CASE".to_owned();
        for (condition, result) in branches {
            let (condition, result) = (self.write(condition)?, self.write(result)?);
            text.push_str(&format!(" WHEN {condition} THEN {result}"));
        }
        if let Some(otherwise) = otherwise {
            text.push_str(&format!(" ELSE {}", self.write(otherwise)?));
        }
        Ok(text + " END)")
    }

    fn call(&mut self, function: Function, arguments: &[Expr]) -> Result<String> {
        let texts = arguments.iter().map(|argument| self.write(argument));
        let texts = texts.collect::<Result<Vec<String>>>()?;
        Ok(match (function, texts.as_slice()) {
            (Function::StartsWith, [text, start]) => {
                format!("starts_with({text} COLLATE \"C\", {start})")
            }
            // Both are strict, so that a null stays one.
            (Function::EndsWith, [text, end]) => {
                format!("(right({text}, length({end})) COLLATE \"C\" = {end})")
            }
            (Function::ContainsText, [text, part]) => {
                format!("(strpos({text} COLLATE \"C\", {part}) > 0)")
            }
            (Function::Length, [text]) => format!("length({text})"),
            (Function::Trim, [text]) => format!("btrim({text}, ' ')"),
            (Function::Replace, [text, from, to]) => {
                format!("replace({text} COLLATE \"C\", {from}, {to})")
            }
            _ => return Err(unsupported(&format!("`{function:?}`"))),
        })
    }

    fn cast(&mut self, operand: &Expr, to: &DataType) -> Result<String> {
        let inner = self.write(operand)?;
        match (&operand.data_type, to) {
            (from, to) if from == to => Ok(inner),
            (DataType::Int, DataType::Long) => Ok(format!("{inner}::int8")),
            (DataType::Int, DataType::Float) => Ok(format!("{inner}::float8")),
            (from, to) => Err(unsupported(&format!("a cast of `{from}` to `{to}`"))),
        }
    }
}

impl Operand {
    /// The argument with which the bare column may be compared for equality; `None` where that would not
    /// mean the same, or the column cannot hold the value.
    fn exactly(&self, value: &Value) -> Option<Argument> {
        let form = self.form.as_ref().filter(|_| self.data_type == DataType::String)?;
        let text = value.as_str()?;
        if let Some(labels) = &form.labels {
            return labels.iter().any(|label| label == text).then(|| self.own(value, form))?;
        }
        if form.is_number_or_uuid() {
            return is_canonical(text, form.oid).then(|| self.own(value, form))?;
        }
        let is_text = [oid::TEXT, oid::VARCHAR].contains(&form.oid) && !form.loose;
        is_text.then(|| encode::plain(value, &DataType::String).ok())?
    }

    fn own(&self, value: &Value, form: &Form) -> Option<Argument> {
        encode::for_column(value, form).ok()
    }

    /// The left side of `= ANY`, the types of its right side, and the values that may be found.
    fn any_of(&self, values: &[Value]) -> Result<(String, u32, u32, Vec<Value>)> {
        let all = values.to_vec();
        match (&self.form, &self.data_type) {
            (Some(form), DataType::String) if form.labels.is_some() || form.is_number_or_uuid() => {
                let known = |value: &Value| value.is_null() || self.exactly(value).is_some();
                let wanted = all.into_iter().filter(known).collect();
                Ok((self.bare.clone(), form.oid, form.list, wanted))
            }
            (form, DataType::String) => {
                let is_bare = form.as_ref().is_none_or(|form| !form.loose);
                let collate = if is_bare { "" } else { " COLLATE \"C\"" };
                let list = encode::natural_list(oid::TEXT);
                Ok((format!("{}{collate}", self.value), oid::TEXT, list, all))
            }
            (Some(form), DataType::DateTime) => Ok((self.bare.clone(), form.oid, form.list, all)),
            (_, data_type) => {
                let item = encode::natural(data_type)?;
                Ok((self.bare.clone(), item, encode::natural_list(item), all))
            }
        }
    }
}

/// Whether a text is the only one that this number or UUID has.
fn is_canonical(text: &str, form: u32) -> bool {
    let is = |parsed: Option<String>| parsed.as_deref() == Some(text);
    match form {
        oid::INT2 => is(text.parse::<i16>().ok().map(|number| number.to_string())),
        oid::INT4 => is(text.parse::<i32>().ok().map(|number| number.to_string())),
        oid::INT8 => is(text.parse::<i64>().ok().map(|number| number.to_string())),
        _ => is(uuid::Uuid::parse_str(text).ok().map(|uuid| uuid.hyphenated().to_string())),
    }
}

/// SQL says that null is in no empty list, where the house says that nothing is known.
fn never_for_null(operand: &str, values: &[Value], otherwise: String) -> String {
    match values.is_empty() {
        true => format!("(CASE WHEN {operand} IS NULL THEN NULL ELSE false END)"),
        false => otherwise,
    }
}

fn collation(data_type: &DataType) -> &'static str {
    if *data_type == DataType::String { " COLLATE \"C\"" } else { "" }
}

fn null_test(op: UnaryOp, text: &str) -> String {
    let not = if op == UnaryOp::IsNotNull { "NOT " } else { "" };
    format!("({text} IS {not}NULL)")
}

fn comparison(op: BinaryOp) -> Option<&'static str> {
    Some(match op {
        BinaryOp::Eq => "=",
        BinaryOp::NotEq => "<>",
        BinaryOp::Lt => "<",
        BinaryOp::LtEq => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::GtEq => ">=",
        _ => return None,
    })
}

/// Arithmetic of whole numbers fails where it leaves its type, as ours does; that of others is rounded by
/// other rules.
fn whole(text: &str, data_type: &DataType) -> Result<String> {
    match data_type {
        DataType::Int => Ok(format!("{text}::int4")),
        DataType::Long => Ok(format!("{text}::int8")),
        other => Err(unsupported(&format!("arithmetic of `{other}`"))),
    }
}

fn unsupported(what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("a database does not compute {what} as the house does"))
        .hint("compare columns with values; compute the rest where the answer is read")
}
