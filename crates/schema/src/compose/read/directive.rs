//! Where federation's directives may stand, and with which arguments: in comes one application,
//! out comes a fault, or nothing.

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, Value};

use crate::compose::link::Word;
use crate::compose::report::Report;
use crate::compose::text::Spot;
use crate::diagnostic::Code;

/// Kinds of definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    Object,
    Interface,
    Union,
    Enum,
    Input,
    Scalar,
    Field,
    Argument,
    InputField,
    EnumValue,
}

const EVERYWHERE: &[Placed] = &[
    Placed::Object,
    Placed::Interface,
    Placed::Union,
    Placed::Enum,
    Placed::Input,
    Placed::Scalar,
    Placed::Field,
    Placed::Argument,
    Placed::InputField,
    Placed::EnumValue,
];

/// One argument: its name, whether it has to be given, and whether a value is of its type. What
/// `fields` holds has codes of its own.
type Given = (&'static str, bool, fn(&Value) -> bool);

struct Rule {
    places: &'static [Placed],
    repeatable: bool,
    arguments: &'static [Given],
}

fn text(value: &Value) -> bool {
    value.as_str().is_some()
}

fn anything(_: &Value) -> bool {
    true
}

fn rule(word: Word) -> Option<Rule> {
    use Placed::*;
    let fields: &'static [Given] = &[("fields", true, anything)];
    let none: &'static [Given] = &[];
    let (places, repeatable, arguments): (&'static [Placed], bool, &'static [Given]) = match word {
        Word::Key => (
            &[Object, Interface],
            true,
            &[("fields", true, anything), ("resolvable", false, |value| value.to_bool().is_some())],
        ),
        Word::Requires | Word::Provides => (&[Field], false, fields),
        Word::External => (&[Object, Field], false, &[("reason", false, text)]),
        Word::Extends => (&[Object, Interface], false, none),
        Word::Tag => (EVERYWHERE, true, &[("name", true, text)]),
        Word::Shareable => (&[Object, Field], true, none),
        Word::Inaccessible => (EVERYWHERE, false, none),
        Word::Override => (&[Field], false, &[("from", true, text), ("label", false, text)]),
        Word::InterfaceObject => (&[Object], false, none),
        Word::Cost => (
            &[Argument, Enum, Field, InputField, Object, Scalar],
            false,
            &[("weight", true, anything)],
        ),
        _ => return None,
    };
    Some(Rule { places, repeatable, arguments })
}

/// Directives that guard or pass on what a service does not guard itself.
fn is_unsupported(word: Word) -> bool {
    matches!(
        word,
        Word::Authenticated
            | Word::RequiresScopes
            | Word::Policy
            | Word::Context
            | Word::FromContext
    )
}

/// Checks one application of a directive; `again` when the definition has one before it.
pub(super) fn placed(
    word: Word,
    directive: &Node<Directive>,
    at: Placed,
    again: bool,
    report: &mut Report<'_>,
) {
    let name = &directive.name;
    let spot = Spot { source: 0, span: directive.location().into() };
    if is_unsupported(word) {
        let words = format!("`@{name}` of a service is not enforced");
        report
            .add(Code::UnsupportedFeature, spot, Vec::new(), words)
            .hint("leave it out; let the service check access itself, or use `@visible`");
        return;
    }
    let Some(rule) = rule(word) else { return };
    let mut fault = |words: String, hint: String| {
        report.add(Code::InvalidGraphql, spot, Vec::new(), words).hint(hint);
    };
    if !rule.places.contains(&at) {
        fault(format!("`@{name}` does not belong here"), "move it or leave it out".to_owned());
        return;
    }
    if again && !rule.repeatable {
        fault(format!("`@{name}` stands here twice"), "write it once".to_owned());
    }
    for (argument, required, fits) in rule.arguments {
        match directive.specified_argument_by_name(argument) {
            None if *required => {
                let hint = format!("write `@{name}({argument}: …)`");
                fault(format!("`@{name}` needs `{argument}`"), hint);
            }
            Some(value) if !fits(value) => {
                let words = format!("`{argument}` of `@{name}` is of another type");
                fault(words, "write a value of the argument's type".to_owned());
            }
            _ => {}
        }
    }
    for argument in &directive.arguments {
        if !rule.arguments.iter().any(|(known, ..)| argument.name == *known) {
            let known: Vec<&str> = rule.arguments.iter().map(|(name, ..)| *name).collect();
            let words = format!("`@{name}` has no argument `{}`", argument.name);
            let hint = if known.is_empty() {
                "leave it out".to_owned()
            } else {
                format!("it takes {}", crate::compose::report::listed(known))
            };
            fault(words, hint);
        }
    }
}
