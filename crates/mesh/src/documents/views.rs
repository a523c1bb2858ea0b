//! Which objects can be read as a fragment that is spread on them.
//!
//! An object has at least the fields of the fragment, but a field of it may be there for another reason than
//! the fragment's: then what the fragment asks below it is missing. So an object is a view of a fragment
//! only where its own type is one that the fragment's type takes.
//!
//! In: all shapes. Out: the same, with the fragments of each variant that can be read.

use schema::generate::client::{Fragment, Shape, TypeOf, ValueType, Variant};

/// Takes away the fragments that an object cannot be read as.
pub(super) fn keep_readable(fragments: &[Fragment], shapes: &mut [Shape]) {
    let readable: Vec<Vec<Vec<String>>> = shapes
        .iter()
        .map(|shape| all(shape).map(|variant| of_variant(fragments, shapes, variant)).collect())
        .collect();
    for (shape, readable) in shapes.iter_mut().zip(readable) {
        let variants = std::iter::once(&mut shape.base).chain(&mut shape.variants);
        for (variant, readable) in variants.zip(readable) {
            variant.fragments = readable;
        }
    }
}

fn all(shape: &Shape) -> impl Iterator<Item = &Variant> {
    std::iter::once(&shape.base).chain(&shape.variants)
}

fn of_variant(fragments: &[Fragment], shapes: &[Shape], variant: &Variant) -> Vec<String> {
    let is_readable = |name: &&String| {
        let fragment = fragments.iter().find(|fragment| fragment.name == **name);
        fragment.is_some_and(|fragment| reads(shapes, variant, &shapes[fragment.shape]))
    };
    variant.fragments.iter().filter(is_readable).cloned().collect()
}

/// Whether each object of a variant can be read as one of a shape.
fn reads(shapes: &[Shape], variant: &Variant, wanted: &Shape) -> bool {
    let known = variant.types.iter().map(|name| {
        wanted.variants.iter().find(|wanted| wanted.types[0] == *name).unwrap_or(&wanted.base)
    });
    let mut wanted =
        std::iter::once(&wanted.base).filter(|_| variant.types.is_empty()).chain(known);
    wanted.all(|wanted| {
        wanted.fields.iter().all(|wanted| {
            let found = variant.fields.iter().find(|field| field.key == wanted.key);
            found.map_or(wanted.optional, |field| {
                (wanted.optional || !field.optional) && takes(shapes, &wanted.ty, &field.ty)
            })
        })
    })
}

/// Whether values of a type can be read as values of a wanted one.
fn takes(shapes: &[Shape], wanted: &ValueType, found: &ValueType) -> bool {
    match (&wanted.of, &found.of) {
        (TypeOf::List(wanted), TypeOf::List(found)) => takes(shapes, wanted, found),
        (TypeOf::Shape(wanted), TypeOf::Shape(found)) => {
            wanted == found
                || all(&shapes[*found]).all(|variant| reads(shapes, variant, &shapes[*wanted]))
        }
        (wanted, found) => wanted == found,
    }
}
