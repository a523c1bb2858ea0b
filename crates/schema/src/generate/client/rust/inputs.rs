//! Input objects and variables in Rust.
//!
//! In: fields with their types. Out: structs of which what may be left out is left out, and enums where
//! exactly one field is given, which stands in a box. An input object that holds itself stands in one, too.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::super::names::{Members, directly, pascal};
use super::super::{Input, InputField};
use super::{Writer, member};

/// Parameters of a function that makes a struct at most; beyond it the fields are written out.
const MOST_PARAMETERS: usize = 7;

impl Writer<'_> {
    pub(super) fn input(&mut self, found: &Input) {
        let name = self.names.of_type(&found.name).to_owned();
        self.text.push('\n');
        self.doc("", found.description.as_deref(), None);
        if !found.one_of {
            return self.fields(&name, &found.fields, Some(found));
        }
        self.line("#[derive(Clone, Debug, PartialEq, Serialize)]");
        self.line(&format!("pub enum {name} {{"));
        let mut members = Members::beside(&["Self"]);
        for field in &found.fields {
            self.doc("    ", field.description.as_deref(), None);
            let of = self.of(&field.ty);
            // Variants of very different sizes would all take the largest one's room.
            let of = if directly(&field.ty.of).is_some() { format!("Box<{of}>") } else { of };
            let _ = writeln!(
                self.text,
                "    #[serde(rename = \"{}\")]\n    {}({of}),",
                field.name,
                members.take(pascal(&field.name))
            );
        }
        self.line("}");
    }

    /// A struct of what is given; `within` is the input object that it stands for.
    pub(super) fn fields(&mut self, name: &str, fields: &[InputField], within: Option<&Input>) {
        let required = fields.iter().filter(|field| field.required).count();
        let default = if required == 0 { ", Default" } else { "" };
        self.line(&format!("#[derive(Clone, Debug{default}, PartialEq, Serialize)]"));
        self.line(&format!("pub struct {name} {{"));
        let mut members = Members::default();
        let named = fields.iter().map(|field| {
            let ty = self.input_type(field, within);
            (members.take(member(&field.name)), ty, field)
        });
        let named: Vec<_> = named.collect();
        for (member, ty, field) in &named {
            self.doc("    ", field.description.as_deref(), None);
            let mut attributes = Vec::new();
            if *member != field.name {
                attributes.push(format!("rename = \"{}\"", field.name));
            }
            if !field.required {
                let kind = if field.ty.nullable { "Given::is_absent" } else { "Option::is_none" };
                attributes.push(format!("skip_serializing_if = \"{kind}\""));
            }
            if !attributes.is_empty() {
                self.line(&format!("    #[serde({})]", attributes.join(", ")));
            }
            self.line(&format!("    pub {member}: {ty},"));
        }
        self.line("}");
        if (1..=MOST_PARAMETERS).contains(&required) {
            self.constructor(name, &named);
        }
    }

    /// What makes a struct of what must be given.
    fn constructor(&mut self, name: &str, named: &[(String, String, &InputField)]) {
        let required = named.iter().filter(|(_, _, field)| field.required);
        let parameters: Vec<_> = required.map(|(name, ty, _)| format!("{name}: {ty}")).collect();
        let values =
            named.iter().map(|(name, _, field)| match (field.required, field.ty.nullable) {
                (true, _) => name.clone(),
                (false, true) => format!("{name}: Given::Absent"),
                (false, false) => format!("{name}: None"),
            });
        let values: Vec<_> = values.collect();
        let _ = writeln!(
            self.text,
            "\nimpl {name} {{\n    /// With what must be given; all else is left out.\n    \
             pub fn new({}) -> Self {{\n        {name} {{ {} }}\n    }}\n}}",
            parameters.join(", "),
            values.join(", ")
        );
    }

    fn input_type(&self, field: &InputField, within: Option<&Input>) -> String {
        let mut of = self.of(&field.ty);
        let inner = directly(&field.ty.of);
        if let (Some(inner), Some(within)) = (inner, within)
            && self.reaches(inner, &within.name)
        {
            of = format!("Box<{of}>");
        }
        match (field.required, field.ty.nullable) {
            (true, _) => of,
            (false, true) => format!("Given<{of}>"),
            (false, false) => format!("Option<{of}>"),
        }
    }

    /// Whether an input object holds another one, or itself, without a list or a box between them.
    fn reaches(&self, from: &str, to: &str) -> bool {
        let mut seen = HashSet::new();
        let mut waiting = vec![from];
        while let Some(name) = waiting.pop() {
            let Some(input) = self.client.input(name).filter(|input| !input.one_of) else {
                continue;
            };
            if name == to {
                return true;
            }
            if seen.insert(name) {
                waiting.extend(input.fields.iter().filter_map(|field| directly(&field.ty.of)));
            }
        }
        false
    }
}
