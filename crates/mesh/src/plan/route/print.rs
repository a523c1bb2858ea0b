//! The text of a call: printed once, with the variables that it uses and no others.

use apollo_compiler::Name;
use apollo_compiler::ast::OperationType;
use indexmap::{IndexMap, IndexSet};

use super::draft::{Draft, Entry};
use super::finish::quoted;
use super::{Passed, PassedValue};
use crate::plan::{Condition, Conditions, Plan};

/// A printed call.
pub(super) struct Printed {
    pub(super) text: String,
    /// The body up to the values of variables.
    pub(super) prefix: Box<[u8]>,
    pub(super) variables: Vec<Passed>,
    /// The variable of what is passed on of objects.
    pub(super) representations: String,
}

struct Printer<'a> {
    draft: &'a Draft<'a>,
    plan: &'a Plan,
    out: String,
    variables: IndexSet<Name>,
    /// Conditions that no directive can say, each a variable of its own.
    made: Vec<Vec<Conditions>>,
}

/// Prints the call of a group.
pub(super) fn print(
    draft: &Draft<'_>,
    plan: &Plan,
    group: usize,
    operation: OperationType,
) -> Printed {
    let group = &draft.groups[group];
    let (out, variables, made) = (String::new(), IndexSet::new(), Vec::new());
    let mut printer = Printer { draft, plan, out, variables, made };
    printer.set(group.set);
    let representations = printer.free("representations");
    let mut declared = Vec::new();
    if group.entity.is_some() {
        declared.push(format!("${representations}:[_Any!]!"));
    }
    let mut passed = Vec::new();
    for name in &printer.variables {
        let known = plan.variables.iter().find(|known| known.name == *name);
        if let Some(known) = known {
            // With a default it may stand where null may not.
            let default = known.default.as_ref().and_then(serde_json::Value::as_bool);
            let default = default.map_or_else(String::new, |default| format!("={default}"));
            declared.push(format!("${name}:{}{default}", known.ty));
            let value = PassedValue::Variable(name.clone());
            passed.push(Passed { quoted: quoted("", name), value });
        }
    }
    for (index, conditions) in printer.made.iter().enumerate() {
        let name = printer.free(&format!("when{index}"));
        declared.push(format!("${name}:Boolean!"));
        let value = PassedValue::Conditions(conditions.clone());
        passed.push(Passed { quoted: quoted("", &name), value });
    }
    let declared = match declared.is_empty() {
        true => String::new(),
        false => format!("({})", declared.join(",")),
    };
    let body = printer.out;
    let text = match group.entity {
        Some(_) => {
            format!("query{declared}{{_entities(representations:${representations}){body}}}")
        }
        // The types of operations are spelt as their words are.
        None => format!("{operation}{declared}{body}"),
    };
    let mut prefix = b"{\"query\":".to_vec();
    crate::respond::scalar::string(&mut prefix, &text);
    prefix.extend_from_slice(b",\"variables\":{");
    Printed { text, prefix: prefix.into(), variables: passed, representations }
}

impl Printer<'_> {
    /// A name that no variable of the operation has.
    fn free(&self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while self.plan.variables.iter().any(|known| known.name == name.as_str()) {
            name.insert(0, '_');
        }
        name
    }

    fn set(&mut self, set: usize) {
        let draft = self.draft;
        let set = &draft.sets[set];
        self.out.push('{');
        let start = self.out.len();
        if set.asks_typename {
            self.out.push_str("__typename");
        }
        for (on, entries) in set.entries.iter().filter(|(_, entries)| !entries.is_empty()) {
            if set.is_abstract {
                self.space(start);
                self.out.push_str("...on ");
                self.out.push_str(on);
                self.out.push('{');
                let start = self.out.len();
                self.entries(entries, start);
                self.out.push('}');
            } else {
                self.entries(entries, start);
            }
        }
        if self.out.len() == start {
            self.out.push_str("__typename");
        }
        self.out.push('}');
    }

    fn space(&mut self, start: usize) {
        if self.out.len() > start && !self.out.ends_with('}') {
            self.out.push(' ');
        }
    }

    fn entries(&mut self, entries: &IndexMap<String, Entry>, start: usize) {
        for (key, entry) in entries {
            self.space(start);
            if *key != *entry.name {
                self.out.push_str(key);
                self.out.push(':');
            }
            self.out.push_str(&entry.name);
            if !entry.arguments.text.is_empty() {
                self.out.push('(');
                self.out.push_str(&entry.arguments.text);
                self.out.push(')');
                self.variables.extend(entry.arguments.variables.iter().cloned());
            }
            if let Some(when) = &entry.when {
                self.conditions(when);
            }
            if let Some(set) = entry.set {
                self.set(set);
            }
        }
    }

    /// Conditions as directives: with the request's own variables where two directives can say them,
    /// with one of ours else.
    fn conditions(&mut self, when: &[Conditions]) {
        let alternatives: Vec<&Vec<Condition>> = when.iter().flat_map(|when| &when.0).collect();
        let count = |expected: bool, all: &[Condition]| {
            all.iter().filter(|condition| condition.expected == expected).count()
        };
        if let [all] = alternatives.as_slice()
            && count(true, all) <= 1
            && count(false, all) <= 1
        {
            for condition in *all {
                let directive = if condition.expected { "include" } else { "skip" };
                self.out.push_str(&format!("@{directive}(if:${})", condition.variable));
                self.variables.insert(condition.variable.clone());
            }
            return;
        }
        let known = self.made.iter().position(|made| made == when);
        let index = known.unwrap_or_else(|| {
            self.made.push(when.to_vec());
            self.made.len() - 1
        });
        let name = self.free(&format!("when{index}"));
        self.out.push_str(&format!("@include(if:${name})"));
    }
}
