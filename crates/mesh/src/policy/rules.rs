//! What the policies of one type mean for one caller: in comes a request, out comes one that reads
//! nothing but what the caller may see, or a refusal.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Error, Kind, Principal, Result};
use frame::{Aggregate, DataType, Expr, MeasureOf, Node, ScanRequest, Search, Value, WriteOp};
use schema::{ObjectType, Otherwise, Schema, Sight};

use super::changes::Changes;
use super::mask::Masks;

/// The rules of one type for one caller.
pub(super) struct Rules<'s> {
    object: &'s ObjectType,
    principal: Principal,
    /// Which rows are seen; `None` for all.
    rows: Option<Expr>,
    /// The fields of which not all values are seen.
    masked: HashMap<&'s str, Mask>,
}

/// Which values of a field are seen, and what stands in place of the others.
#[derive(Clone)]
pub(super) struct Mask {
    /// Seen are those of the rows of which this holds; `None`: none.
    pub(super) when: Option<Expr>,
    pub(super) otherwise: Otherwise,
}

impl Mask {
    /// What an expression has in place of a value that is not seen.
    fn stand_in(&self, data_type: &DataType) -> Expr {
        let value = match self.otherwise {
            Otherwise::Null | Otherwise::Error => Value::Null,
            Otherwise::Mask => Value::from(Otherwise::MASK),
        };
        Expr::literal(value, data_type.clone())
    }
}

impl<'s> Rules<'s> {
    /// The rules; `None` when the caller sees all.
    pub(super) fn of(schema: &'s Schema, table: &str, who: &Principal) -> Option<Self> {
        let (_, object) = schema.type_named(table)?;
        if object.is_whole_for(who) {
            return None;
        }
        let rows = match object.policy.sight(who) {
            Sight::Whole => None,
            Sight::When(expr) => Some(bound(expr, who)),
            Sight::Never | Sight::Hidden => Some(constant(false)),
        };
        let masked = object.fields.values().filter_map(|field| {
            let when = match field.policy.sight(who) {
                Sight::Whole => return None,
                Sight::When(expr) => Some(bound(expr, who)),
                Sight::Never | Sight::Hidden => None,
            };
            Some((field.name.as_ref(), Mask { when, otherwise: field.policy.otherwise() }))
        });
        let masked = masked.collect();
        Some(Rules { object, principal: who.clone(), rows, masked })
    }

    /// The scan that is made instead, and what is done to its answer.
    pub(super) fn scan(&self, request: ScanRequest) -> Result<(ScanRequest, Option<Masks>)> {
        let mut request = self.count(request)?;
        if let Some(aggregate) = &mut request.aggregate {
            self.measure(aggregate);
            return Ok((request, None));
        }
        for item in &request.order {
            let by_rows_that_are_not_seen = item.field.as_ref() == "_score" && self.rows.is_some();
            if by_rows_that_are_not_seen || self.masked.contains_key(item.field.as_ref()) {
                return Err(self.denied(&item.field, "ordered"));
            }
        }
        if let Some(nearest) = &mut request.nearest {
            if self.masked.contains_key(nearest.field.as_ref()) {
                return Err(self.denied(&nearest.field, "searched"));
            }
            // Which rows an index looks at first depends on all of them.
            nearest.exact |= self.rows.is_some();
        }
        let masked = self.masked_of(&request.fields);
        if masked.is_empty() {
            return Ok((request, None));
        }
        let masks = Masks::new(self.object, &masked, &request.fields, &self.principal)?;
        request.fields = masks.read().to_vec();
        Ok((request, Some(masks)))
    }

    fn masked_of<'f>(&self, fields: &'f [Arc<str>]) -> HashMap<&'f str, Mask> {
        let masked = |name: &'f Arc<str>| Some((&**name, self.masked.get(&**name)?.clone()));
        fields.iter().filter_map(masked).collect()
    }

    /// How changes are seen of which these fields are asked. Whether a row changed is decided by all that is
    /// seen of it, whatever is asked.
    pub(super) fn changes(&self, fields: &[Arc<str>]) -> Result<Changes> {
        let is_seen = |name: &str| self.masked.get(name).is_none_or(|mask| mask.when.is_some());
        let others = self.object.columns().map(|(field, _)| &field.name);
        let others = others.filter(|name| !fields.contains(name) && is_seen(name));
        let shown: Vec<Arc<str>> = fields.iter().chain(others).cloned().collect();
        let masks = Masks::new(self.object, &self.masked_of(&shown), &shown, &self.principal)?;
        Ok(Changes::new(self.rows.clone(), masks, fields.len()))
    }

    /// Which rows are counted: those that are seen, by what is seen of them.
    pub(super) fn count(&self, mut request: ScanRequest) -> Result<ScanRequest> {
        let asked = request.predicate.take().map(|expr| self.masked(expr));
        // First whether the row is seen: of others nothing is computed.
        request.predicate = match (self.rows.clone(), asked) {
            (Some(rows), Some(asked)) => Some(rows.and(asked)),
            (rows, asked) => rows.or(asked),
        };
        if let Some(search) = &mut request.search {
            self.search(search)?;
        }
        Ok(request)
    }

    /// Searches no text that is not seen in every row.
    fn search(&self, search: &mut Search) -> Result<()> {
        if let Some(masked) =
            search.fields.iter().find(|name| self.masked.contains_key(name.as_ref()))
        {
            return Err(self.denied(masked, "searched"));
        }
        if search.fields.is_empty() {
            let searched = self.object.fields.values().filter(|field| field.search);
            let seen = searched.filter(|field| !self.masked.contains_key(field.name.as_ref()));
            search.fields = seen.map(|field| field.name.clone()).collect();
        }
        // An empty list would mean every text.
        if search.fields.is_empty() {
            return Err(self.denied(&self.object.name, "searched"));
        }
        Ok(())
    }

    fn measure(&self, aggregate: &mut Aggregate) {
        for key in &mut aggregate.group {
            key.input = self.masked(key.input.clone());
        }
        for measure in &mut aggregate.measures {
            match &mut measure.of {
                MeasureOf::Rows => {}
                MeasureOf::Count(expr)
                | MeasureOf::CountDistinct(expr)
                | MeasureOf::Sum(expr)
                | MeasureOf::Avg(expr)
                | MeasureOf::Min(expr)
                | MeasureOf::Max(expr)
                | MeasureOf::Percentile(expr, _) => *expr = self.masked(expr.clone()),
            }
        }
    }

    /// An expression over what is seen: what stands in place of values counts as them.
    fn masked(&self, expr: Expr) -> Expr {
        if self.masked.is_empty() {
            return expr;
        }
        rewritten(expr, &|expr| {
            let Node::Field(path) = &expr.node else { return None };
            let mask = self.masked.get(path.first()?.as_str())?;
            let stand_in = mask.stand_in(&expr.data_type);
            let Some(when) = &mask.when else { return Some(stand_in) };
            let branches = vec![(when.clone(), expr.clone())];
            let node = Node::Case { branches, otherwise: Some(Box::new(stand_in)) };
            Some(Expr::built(node, expr.data_type.clone()))
        })
    }

    /// Refuses changes that would tell of rows, or touch values, that are not seen.
    pub(super) fn check(&self, op: &WriteOp) -> Result<()> {
        let adds = matches!(op, WriteOp::Append(_));
        if self.rows.is_some() && !adds {
            let name = &self.object.name;
            let text = format!("rows of `{name}` are changed by callers who see all of them");
            return Err(Error::new(Kind::Denied, text));
        }
        let batches = match op {
            WriteOp::Append(_) | WriteOp::Insert(_) | WriteOp::Delete(_) => return Ok(()),
            WriteOp::Upsert(batches) | WriteOp::Update(batches) => batches,
        };
        let mut columns = batches.iter().flat_map(|batch| batch.schema().fields().to_vec());
        let replaces = matches!(op, WriteOp::Upsert(_)) && !self.masked.is_empty();
        match columns.find(|column| self.masked.contains_key(column.name().as_str())) {
            Some(column) => Err(self.denied(column.name(), "written")),
            None if replaces => Err(self.denied(&self.object.name, "replaced")),
            None => Ok(()),
        }
    }

    fn denied(&self, name: &str, what: &str) -> Error {
        let text = format!("`{}`: nothing is {what} by `{name}` for you", self.object.name);
        Error::new(Kind::Denied, text)
    }
}

fn constant(holds: bool) -> Expr {
    Expr::literal(Value::Boolean(holds), DataType::Boolean)
}

/// A condition in which the viewer is known.
fn bound(expr: &Expr, who: &Principal) -> Expr {
    rewritten(expr.clone(), &|expr| {
        let Node::Viewer(attribute) = &expr.node else { return None };
        let value = match attribute.as_str() {
            "id" => who.subject.as_ref(),
            "team" => who.team.as_str(),
            _ => who.scope.as_str(),
        };
        Some(Expr::literal(Value::from(value), DataType::String))
    })
}

/// An expression with parts replaced, the outermost first; what replaces a part is left as it is.
fn rewritten(mut expr: Expr, replace: &dyn Fn(&Expr) -> Option<Expr>) -> Expr {
    if let Some(replaced) = replace(&expr) {
        return replaced;
    }
    let inner = |expr: Box<Expr>| Box::new(rewritten(*expr, replace));
    let all = |parts: Vec<Expr>| -> Vec<Expr> {
        parts.into_iter().map(|part| rewritten(part, replace)).collect()
    };
    expr.node = match expr.node {
        node @ (Node::Literal(_) | Node::Field(_) | Node::Viewer(_)) => node,
        Node::Unary(op, part) => Node::Unary(op, inner(part)),
        Node::Binary(op, left, right) => Node::Binary(op, inner(left), inner(right)),
        Node::Case { branches, otherwise } => Node::Case {
            branches: branches
                .into_iter()
                .map(|(when, then)| (rewritten(when, replace), rewritten(then, replace)))
                .collect(),
            otherwise: otherwise.map(inner),
        },
        Node::Coalesce(parts) => Node::Coalesce(all(parts)),
        Node::Call(function, parts) => Node::Call(function, all(parts)),
        Node::InList(part, values) => Node::InList(inner(part), values),
        Node::Contains(part, value) => Node::Contains(inner(part), value),
        Node::Cast(part) => Node::Cast(inner(part)),
    };
    expr
}

/// Fields that an expression reads.
pub(super) fn fields_of(expr: &Expr) -> Vec<Arc<str>> {
    let names = schema::expression::fields_read(expr);
    names.into_iter().map(Into::into).collect()
}
