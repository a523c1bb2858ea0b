//! Values and objects while a call is answered: positions in answers, and objects of which only the
//! key is known yet.

use std::sync::Arc;

use apollo_compiler::Name;
use schema::fetch::Path;
use serde_json::Value as Json;

use crate::tape::{At, Form, Tape};

/// A value in an answer.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) tape: Arc<Tape>,
    pub(super) at: At,
}

/// What stands at a place, or should.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing, or null.
    Null,
    /// A value of an answer.
    Place(Place),
    /// The items of several answers, or of a batch.
    Items(Vec<Value>),
    /// The object with this key.
    Keyed(Place),
    /// A change went well and said nothing.
    Done,
    /// There is none, for this reason.
    Fault(usize),
}

/// An object.
#[derive(Clone, Debug)]
pub(super) enum Object {
    /// The root of operations.
    Root,
    /// An object of an answer.
    Whole(Place),
    /// An object by its key.
    Keyed(Key),
    /// An object that was found by its key, with what was passed on beside it.
    Found(Key, Place),
}

/// What is known of an object before it is fetched.
#[derive(Clone, Debug)]
pub(super) enum Key {
    /// What another source passes on, by the names of the schema.
    Passed(Place),
    /// The value of one field.
    Field(Name, Place),
}

impl Place {
    pub(super) fn root(tape: Arc<Tape>) -> Self {
        let at = tape.root();
        Place { tape, at }
    }

    pub(super) fn form(&self) -> Form {
        self.tape.form(self.at)
    }

    pub(super) fn raw(&self) -> &[u8] {
        self.tape.raw(self.at)
    }

    fn to(&self, at: At) -> Place {
        Place { tape: Arc::clone(&self.tape), at }
    }

    /// A member of an object; nothing where it is null.
    pub(super) fn get(&self, name: &str) -> Option<Place> {
        let found = self.tape.get(self.at, name)?;
        (!self.tape.is_null(found)).then(|| self.to(found))
    }

    /// What a path leads to; nothing where it ends before.
    pub(super) fn follow(&self, path: &Path) -> Option<Place> {
        let mut place = self.clone();
        for part in &path.0 {
            place = place.get(part)?;
        }
        (place.form() != Form::Null).then_some(place)
    }

    /// The items of a list.
    pub(super) fn items(&self) -> impl Iterator<Item = Place> {
        self.tape.items(self.at).map(|at| self.to(at))
    }

    /// The members of an object, in their order.
    pub(super) fn members(&self) -> Vec<(String, Place)> {
        self.tape.members(self.at).map(|(name, value)| (name, self.to(value))).collect()
    }

    /// What it says as one word: by this, keys are compared.
    pub(super) fn word(&self) -> Option<String> {
        match self.form() {
            Form::Plain | Form::Escaped => self.tape.text(self.at),
            Form::Number | Form::Boolean => Some(String::from_utf8_lossy(self.raw()).into_owned()),
            _ => None,
        }
    }

    pub(super) fn json(&self) -> Json {
        self.tape.json(self.at)
    }

    pub(super) fn value(self) -> Value {
        if self.form() == Form::Null { Value::Null } else { Value::Place(self) }
    }
}

impl Key {
    /// A field that is known without the object.
    fn field(&self, name: &str) -> Option<Option<Place>> {
        match self {
            Key::Passed(passed) => {
                let found = passed.to(passed.tape.get(passed.at, name)?);
                Some((found.form() != Form::Null).then_some(found))
            }
            Key::Field(key, place) => (*key == name).then(|| Some(place.clone())),
        }
    }
}

impl Object {
    /// A field that comes with the object, by its names in the schema and on the wire. `None` when the
    /// object must be fetched first.
    pub(super) fn field(&self, name: &str, wire: &str) -> Option<Option<Place>> {
        match self {
            Object::Root => Some(None),
            Object::Whole(place) => Some(place.get(wire)),
            Object::Keyed(key) => key.field(name),
            Object::Found(key, place) => key.field(name).or_else(|| Some(place.get(wire))),
        }
    }

    /// Whether a field was passed on, by the names of the schema.
    pub(super) fn is_passed(&self, name: &str) -> bool {
        match self {
            Object::Keyed(key @ Key::Passed(_)) | Object::Found(key @ Key::Passed(_), _) => {
                key.field(name).is_some()
            }
            _ => false,
        }
    }
}
