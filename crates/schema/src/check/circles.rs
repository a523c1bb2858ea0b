//! Derived fields that read each other in a circle.

use crate::compile::{Declared, Draft, Report};
use crate::diagnostic::Code;
use crate::model::FieldKind;

pub(super) fn check(declared: &Declared<'_>, draft: &Draft, report: &mut Report<'_>) {
    for (index, object) in declared.objects.values().enumerate() {
        let reads: Vec<Vec<usize>> = draft.kinds[index]
            .iter()
            .map(|kind| match kind {
                Some(FieldKind::Derived(derived)) => {
                    derived.inputs.iter().map(|id| id.0 as usize).collect()
                }
                _ => Vec::new(),
            })
            .collect();
        for circle in circles(&reads) {
            let names: Vec<&str> =
                circle.iter().map(|field| object.fields[*field].name()).collect();
            let first = &object.fields[circle[0]];
            let words = words(&names);
            report
                .at(Code::DerivedCycle, first.at(), words)
                .hint("let one of them read stored fields only");
        }
    }
}

/// What is said of a circle.
pub(crate) fn words(names: &[&str]) -> String {
    match names {
        [name] => format!("`{name}` reads itself"),
        names => format!("`{}` reads itself: {} → {}", names[0], names.join(" → "), names[0]),
    }
}

/// Each circle once, beginning with its smallest member. Walks without recursion, so that a chain
/// of any length is fine.
pub(crate) fn circles(reads: &[Vec<usize>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; reads.len()];
    let mut found = Vec::new();
    for start in 0..reads.len() {
        if states[start] != State::New {
            continue;
        }
        states[start] = State::Open;
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.last_mut() {
            let Some(target) = reads[*node].get(*next).copied() else {
                states[*node] = State::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match states[target] {
                State::New => {
                    states[target] = State::Open;
                    path.push((target, 0));
                }
                State::Open => {
                    let from = path.iter().position(|(node, _)| *node == target).unwrap_or(0);
                    let mut circle: Vec<usize> =
                        path[from..].iter().map(|(node, _)| *node).collect();
                    let smallest = (0..circle.len()).min_by_key(|at| circle[*at]).unwrap_or(0);
                    circle.rotate_left(smallest);
                    found.push(circle);
                }
                State::Done => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::circles;

    #[test]
    fn circles_are_found_once_and_chains_are_none() {
        assert_eq!(circles(&[vec![1], vec![2], vec![1], vec![3]]), [vec![1, 2], vec![3]]);
        assert_eq!(circles(&[vec![1, 2], vec![2], vec![]]), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn a_very_long_chain_is_walked() {
        let reads: Vec<Vec<usize>> = (1..100_000).map(|next| vec![next]).chain([vec![]]).collect();
        assert!(circles(&reads).is_empty());
    }
}
