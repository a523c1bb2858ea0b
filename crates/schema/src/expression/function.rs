//! The listed functions: in come a name and arguments without types, out comes a typed call, or
//! what is wrong with it.

use frame::{DataType, Expr, Function, Node, Span};

use super::Fault;
use super::check::Checker;
use super::parse::Part;
use crate::diagnostic::suggest;

/// What a function takes and gives.
enum Shape {
    /// Exactly these types.
    Fixed(&'static [DataType], DataType),
    /// One or more of this type.
    Many(DataType, DataType),
    /// One number; gives its type.
    Number,
    /// One or more of any ordered type; gives that type.
    Ordered,
    /// A date or a time.
    Calendar,
    /// Text and a part of it, or a list and an item.
    Contains,
    /// A list of anything; gives how many.
    Counted,
    /// A list of numbers; gives their type with room for all of them.
    Summed,
    /// A list of numbers; gives a float.
    Averaged,
    /// A list of any ordered type; gives that type.
    Picked,
    /// A list of booleans.
    Decided,
}

const TEXT: DataType = DataType::String;

fn shape(function: Function) -> Shape {
    use Function as F;
    match function {
        F::Lower | F::Upper | F::Trim => Shape::Fixed(&[TEXT], TEXT),
        F::Length => Shape::Fixed(&[TEXT], DataType::Int),
        F::Substring => Shape::Fixed(&[TEXT, DataType::Int, DataType::Int], TEXT),
        F::Replace => Shape::Fixed(&[TEXT, TEXT, TEXT], TEXT),
        F::Concat => Shape::Many(TEXT, TEXT),
        F::StartsWith | F::EndsWith => Shape::Fixed(&[TEXT, TEXT], DataType::Boolean),
        F::ContainsText => Shape::Contains,
        F::Abs => Shape::Number,
        F::Round | F::Floor | F::Ceil | F::Sqrt | F::Ln => {
            Shape::Fixed(&[DataType::Float], DataType::Float)
        }
        F::Power => Shape::Fixed(&[DataType::Float, DataType::Float], DataType::Float),
        F::Least | F::Greatest => Shape::Ordered,
        F::Year | F::Month | F::Day => Shape::Calendar,
        F::Hour => Shape::Fixed(&[DataType::DateTime], DataType::Int),
        F::Date => Shape::Fixed(&[DataType::DateTime], DataType::Date),
        F::DateDiffDays => Shape::Fixed(&[DataType::Date, DataType::Date], DataType::Int),
        F::Count => Shape::Counted,
        F::Sum => Shape::Summed,
        F::Avg => Shape::Averaged,
        F::Min | F::Max => Shape::Picked,
        F::Any | F::All => Shape::Decided,
    }
}

/// How a call is written, for hints.
fn usage(function: Function) -> &'static str {
    use Function as F;
    match function {
        F::Lower => "lower(text)",
        F::Upper => "upper(text)",
        F::Trim => "trim(text)",
        F::Length => "length(text)",
        F::Substring => "substring(text, start, count)",
        F::Replace => "replace(text, from, to)",
        F::Concat => "concat(text, …)",
        F::StartsWith => "starts_with(text, prefix)",
        F::EndsWith => "ends_with(text, suffix)",
        F::ContainsText => "contains(text, part) or contains(list, item)",
        F::Abs => "abs(number)",
        F::Round => "round(number)",
        F::Floor => "floor(number)",
        F::Ceil => "ceil(number)",
        F::Sqrt => "sqrt(number)",
        F::Ln => "ln(number)",
        F::Power => "power(base, exponent)",
        F::Least => "least(a, …)",
        F::Greatest => "greatest(a, …)",
        F::Year => "year(date)",
        F::Month => "month(date)",
        F::Day => "day(date)",
        F::Hour => "hour(time)",
        F::Date => "date(time)",
        F::DateDiffDays => "date_diff_days(later, earlier)",
        F::Count => "count(list)",
        F::Sum => "sum(list)",
        F::Avg => "avg(list)",
        F::Min => "min(list)",
        F::Max => "max(list)",
        F::Any => "any(list)",
        F::All => "all(list)",
    }
}

/// All functions with their names.
fn all() -> impl Iterator<Item = &'static (&'static str, Function)> {
    Function::ALL.iter().chain(&Function::FOLDS)
}

/// How each function is called and what it gives, for the reference page.
pub(super) fn listed() -> impl Iterator<Item = (&'static str, String)> {
    gives(&Function::ALL)
}

/// The same of the functions of lists.
pub(super) fn folds() -> impl Iterator<Item = (&'static str, String)> {
    gives(&Function::FOLDS)
}

fn gives(
    functions: &'static [(&'static str, Function)],
) -> impl Iterator<Item = (&'static str, String)> {
    functions.iter().map(|(_, function)| {
        let gives = match shape(*function) {
            Shape::Fixed(_, gives) | Shape::Many(_, gives) => gives.to_string(),
            Shape::Number | Shape::Ordered => "the type of its arguments".to_owned(),
            Shape::Calendar => "Int".to_owned(),
            Shape::Contains | Shape::Decided => "Boolean".to_owned(),
            Shape::Counted => "Int".to_owned(),
            Shape::Summed => "Long, Float or Decimal".to_owned(),
            Shape::Averaged => "Float".to_owned(),
            Shape::Picked => "the type of the items".to_owned(),
        };
        (usage(*function), gives)
    })
}

/// The name of a function, as it is written.
pub(super) fn name_of(function: Function) -> &'static str {
    all().find(|(_, known)| *known == function).map_or("", |(name, _)| name)
}

pub(super) fn call(
    checker: &mut Checker<'_>,
    name: &str,
    at: Span,
    arguments: &[Part],
    span: Span,
) -> Option<Expr> {
    let has_lists = checker.has_lists();
    let mut offered = all().filter(|(_, known)| has_lists || !known.is_fold());
    let known = offered.find(|(known, _)| known.eq_ignore_ascii_case(name));
    let Some((_, function)) = known else {
        let hint = match suggest::closest(name, Function::ALL.iter().map(|(known, _)| *known)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => instead_of(name).to_owned(),
        };
        let error = checker.fault(at, format!("unknown function `{name}`"));
        error.fault = Fault::Name;
        error.set_hint(hint);
        return None;
    };
    Call { checker, function: *function, arguments, span }.check()
}

/// What to use for well-known functions that are not listed.
fn instead_of(name: &str) -> &'static str {
    match name.to_ascii_lowercase().as_str() {
        "now" | "current_date" | "current_timestamp" | "today" => {
            "a stored or derived value does not depend on when it is read"
        }
        "random" | "rand" => "an expression gives the same value every time",
        "ifnull" | "nvl" | "isnull" => "write `COALESCE(a, b)`",
        "if" | "iff" => "write `CASE WHEN … THEN … ELSE … END`",
        "substr" | "left" | "right" | "mid" => "write `substring(text, start, count)`",
        "pow" => "write `power(base, exponent)`",
        "count" | "sum" | "avg" | "min" | "max" | "any" | "all" => {
            "it is for lists that a derived field declares with `from`; of several values of the row, use \
             `least` or `greatest`"
        }
        _ => "the functions are listed in the reference of the expression language",
    }
}

struct Call<'c, 's> {
    checker: &'c mut Checker<'s>,
    function: Function,
    arguments: &'c [Part],
    span: Span,
}

impl Call<'_, '_> {
    fn check(mut self) -> Option<Expr> {
        match shape(self.function) {
            Shape::Fixed(wanted, gives) => {
                self.count(wanted.len()..=wanted.len())?;
                let parts = self.converted(wanted.iter())?;
                self.call(parts, gives)
            }
            Shape::Many(wanted, gives) => {
                self.count(1..=usize::MAX)?;
                let parts = self.converted(std::iter::repeat(&wanted))?;
                self.call(parts, gives)
            }
            Shape::Number => {
                self.count(1..=1)?;
                let part = self.checker.node(&self.arguments[0], None)?;
                if !part.data_type.is_numeric() {
                    return self.refuse(0, &format!("a number, not {}", part.data_type));
                }
                let gives = part.data_type.clone();
                self.call(vec![part], gives)
            }
            Shape::Ordered => self.ordered(),
            Shape::Calendar => {
                self.count(1..=1)?;
                let part = self.checker.node(&self.arguments[0], Some(&DataType::Date))?;
                if !matches!(part.data_type, DataType::Date | DataType::DateTime) {
                    let words = format!("a Date or DateTime, not {}", part.data_type);
                    return self.refuse(0, &words);
                }
                self.call(vec![part], DataType::Int)
            }
            Shape::Contains => self.contains(),
            Shape::Counted => self.fold("a list", |_| Some(DataType::Int)),
            Shape::Summed => self.fold("a list of numbers", |item| match item {
                DataType::Int | DataType::Long => Some(DataType::Long),
                DataType::Float => Some(DataType::Float),
                DataType::Decimal { scale, .. } => {
                    Some(DataType::Decimal { precision: 38, scale: *scale })
                }
                _ => None,
            }),
            Shape::Averaged => {
                self.fold("a list of numbers", |item| item.is_numeric().then_some(DataType::Float))
            }
            Shape::Picked => self.fold("a list of values with an order", |item| {
                item.is_ordered().then(|| item.clone())
            }),
            Shape::Decided => self.fold("a list of Booleans", |item| {
                (*item == DataType::Boolean).then_some(DataType::Boolean)
            }),
        }
    }

    /// A function of a list, by what it gives of items of a type.
    fn fold(mut self, takes: &str, gives: impl Fn(&DataType) -> Option<DataType>) -> Option<Expr> {
        self.count(1..=1)?;
        let part = self.checker.node(&self.arguments[0], None)?;
        let gives = match &part.data_type {
            DataType::List { item, .. } => gives(item),
            _ => None,
        };
        let Some(gives) = gives else {
            return self.refuse(0, &format!("{takes}, not {}", part.data_type));
        };
        self.call(vec![part], gives)
    }

    fn ordered(mut self) -> Option<Expr> {
        self.count(1..=usize::MAX)?;
        let nodes: Vec<&Part> = self.arguments.iter().collect();
        let what = format!("the arguments of `{}`", name_of(self.function));
        let parts = self.checker.unified(&nodes, &what, None)?;
        let gives = parts.first()?.data_type.clone();
        if !gives.is_ordered() {
            return self.refuse(0, &format!("values with an order, not {gives}"));
        }
        self.call(parts, gives)
    }

    fn contains(mut self) -> Option<Expr> {
        self.count(2..=2)?;
        let first = self.checker.node(&self.arguments[0], Some(&TEXT))?;
        let DataType::List { item, .. } = &first.data_type else {
            let parts = self.converted([&TEXT, &TEXT].into_iter())?;
            return self.call(parts, DataType::Boolean);
        };
        let value = self.checker.node(&self.arguments[1], Some(item))?;
        let value = self.checker.convert(value, item, "the item")?;
        let Node::Literal(value) = value.node else {
            return self.refuse(1, "a constant as the item of a list");
        };
        let node = Node::Contains(Box::new(first), value);
        Some(Expr { node, data_type: DataType::Boolean, span: self.span })
    }

    fn count(&mut self, wanted: std::ops::RangeInclusive<usize>) -> Option<()> {
        let found = self.arguments.len();
        if wanted.contains(&found) {
            return Some(());
        }
        let least = *wanted.start();
        let at_least = if wanted.end() == wanted.start() { "" } else { "at least " };
        let plural = if least == 1 { "" } else { "s" };
        let name = name_of(self.function);
        let words = format!("`{name}` takes {at_least}{least} argument{plural}, not {found}");
        self.checker.fault(self.span, words).set_hint(format!("it is `{}`", usage(self.function)));
        None
    }

    fn converted<'t>(&mut self, wanted: impl Iterator<Item = &'t DataType>) -> Option<Vec<Expr>> {
        let name = name_of(self.function);
        let parts: Vec<Option<Expr>> = self
            .arguments
            .iter()
            .zip(wanted)
            .enumerate()
            .map(|(index, (node, wanted))| {
                let expr = self.checker.node(node, Some(wanted))?;
                let what = format!("argument {} of `{name}`", index + 1);
                self.checker.convert(expr, wanted, &what)
            })
            .collect();
        parts.into_iter().collect()
    }

    fn refuse(&mut self, argument: usize, wanted: &str) -> Option<Expr> {
        let name = name_of(self.function);
        let words = format!("`{name}` takes {wanted}");
        self.checker
            .fault(self.arguments[argument].span, words)
            .set_hint(format!("it is `{}`", usage(self.function)));
        None
    }

    fn call(self, parts: Vec<Expr>, gives: DataType) -> Option<Expr> {
        Some(Expr { node: Node::Call(self.function, parts), data_type: gives, span: self.span })
    }
}
