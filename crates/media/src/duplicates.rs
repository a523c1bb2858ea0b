//! Finds near-duplicates among perceptual hashes. In: hashes and how many bits may differ. Out:
//! groups of indices that are linked by near pairs. A BK-tree over the distinct hashes keeps it far
//! from comparing all pairs.

use std::collections::HashMap;

/// How many bits differ between two perceptual hashes as [`crate::Measured`] writes them; `None`
/// when one of them is not 16 hexadecimal digits.
pub fn hamming_distance(left: &str, right: &str) -> Option<u32> {
    Some((parse(left)? ^ parse(right)?).count_ones())
}

/// Reads a perceptual hash.
pub fn parse(hash: &str) -> Option<u64> {
    let digits = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(hash, 16).ok()).flatten()
}

/// Groups the indices of hashes that differ in at most `distance` bits from another of the group.
/// Groups have two members or more, members ascend, and groups are ordered by their first member.
pub fn duplicates(hashes: &[u64], distance: u32) -> Vec<Vec<usize>> {
    let mut groups = Groups::new(hashes.len());
    let mut tree = Tree::default();
    let mut first_of = HashMap::new();
    for (index, &hash) in hashes.iter().enumerate() {
        if let Some(&same) = first_of.get(&hash) {
            groups.join(index, same);
            continue;
        }
        first_of.insert(hash, index);
        tree.near(hash, distance, &mut |other| groups.join(index, other));
        tree.insert(hash, index);
    }
    groups.into_lists()
}

/// A BK-tree: the children of a node are keyed by their distance from it, and the triangle
/// inequality tells which of them can hold a near hash.
#[derive(Default)]
struct Tree {
    nodes: Vec<Node>,
}

struct Node {
    hash: u64,
    index: usize,
    children: Vec<(u32, usize)>,
}

impl Tree {
    fn insert(&mut self, hash: u64, index: usize) {
        let new = self.nodes.len();
        let mut at = 0;
        while let Some(node) = self.nodes.get_mut(at) {
            let apart = (node.hash ^ hash).count_ones();
            match node.children.iter().find(|child| child.0 == apart) {
                Some(child) => at = child.1,
                None => {
                    node.children.push((apart, new));
                    break;
                }
            }
        }
        self.nodes.push(Node { hash, index, children: Vec::new() });
    }

    fn near(&self, hash: u64, distance: u32, found: &mut dyn FnMut(usize)) {
        let mut open = if self.nodes.is_empty() { Vec::new() } else { vec![0] };
        while let Some(at) = open.pop() {
            let node = &self.nodes[at];
            let apart = (node.hash ^ hash).count_ones();
            if apart <= distance {
                found(node.index);
            }
            let reachable = apart.saturating_sub(distance)..=apart.saturating_add(distance);
            open.extend(
                node.children.iter().filter(|child| reachable.contains(&child.0)).map(|c| c.1),
            );
        }
    }
}

/// Disjoint sets of indices.
struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    fn new(count: usize) -> Self {
        Groups { parents: (0..count).collect() }
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.parents[index] != index {
            self.parents[index] = self.parents[self.parents[index]];
            index = self.parents[index];
        }
        index
    }

    fn join(&mut self, left: usize, right: usize) {
        let (left, right) = (self.root(left), self.root(right));
        // The smaller index becomes the root, so that groups come out in order.
        self.parents[left.max(right)] = left.min(right);
    }

    fn into_lists(mut self) -> Vec<Vec<usize>> {
        let mut lists: Vec<Vec<usize>> = vec![Vec::new(); self.parents.len()];
        for index in 0..self.parents.len() {
            let root = self.root(index);
            lists[root].push(index);
        }
        lists.retain(|list| list.len() > 1);
        lists
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All pairs, then closure: slow and plainly right.
    fn reference(hashes: &[u64], distance: u32) -> Vec<Vec<usize>> {
        let count = hashes.len();
        let mut label: Vec<usize> = (0..count).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for i in 0..count {
                for j in 0..count {
                    let near = (hashes[i] ^ hashes[j]).count_ones() <= distance;
                    if near && label[j] < label[i] {
                        label[i] = label[j];
                        changed = true;
                    }
                }
            }
        }
        let members = |root: usize| (0..count).filter(|&i| label[i] == root).collect::<Vec<_>>();
        (0..count).map(members).filter(|list| list.len() > 1).collect()
    }

    /// Hashes around few centres, so that near pairs, chains and exact copies occur.
    fn clustered() -> impl Strategy<Value = Vec<u64>> {
        let near = (0u64..4, prop::collection::vec(0u32..64, 0..6)).prop_map(|(centre, flips)| {
            let centre = centre.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            flips.iter().fold(centre, |hash, flip| hash ^ 1 << flip)
        });
        prop::collection::vec(prop_oneof![3 => near, 1 => any::<u64>()], 0..40)
    }

    proptest! {
        #[test]
        fn groups_equal_those_of_comparing_all_pairs(hashes in clustered(), distance in 0u32..12) {
            prop_assert_eq!(duplicates(&hashes, distance), reference(&hashes, distance));
        }
    }

    #[test]
    fn distances_are_of_bits_and_only_between_hashes() {
        assert_eq!(hamming_distance("0000000000000000", "000000000000000f"), Some(4));
        assert_eq!(hamming_distance("ffffffffffffffff", "0000000000000000"), Some(64));
        assert_eq!(hamming_distance("+fffffffffffffff", "0000000000000000"), None);
        assert_eq!(hamming_distance("12", "12"), None);
    }
}
