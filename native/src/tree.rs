//! The lowest nodes of the Merkle tree over all states.

use crate::record::suffix_of;
use crate::stored::StateRow;
use crate::value::{hex, sha256, Digest};

/// A leaf with its rows: digest and suffix of the record, and the state.
pub struct Leaf<'a> {
    pub record: &'a [u8],
    pub suffix: &'a str,
    pub state: StateRow<'a>,
}

/// A node: the number of leaves below it, and its digest.
pub struct Node {
    pub size: usize,
    pub digest: Digest,
}

/// The digest of a node without leaves.
const NOTHING: Digest = [0; 32];

/// Returns the nodes of so many digits, ascending, of leaves in any order.
///
/// None if a row is damaged or a record is there twice.
pub fn nodes(leaves: &[Leaf<'_>], depth: usize) -> Option<Vec<(String, Node)>> {
    let mut pairs = leaves.iter().map(Leaf::pair).collect::<Option<Vec<_>>>()?;
    pairs.sort_unstable();
    if pairs.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return None;
    }
    let groups = pairs.chunk_by(|one, other| prefix(&one.0, depth) == prefix(&other.0, depth));
    Some(
        groups
            .map(|group| (prefix(&group[0].0, depth), subtree(group, depth)))
            .collect(),
    )
}

type Pair = (Digest, Digest);

impl Leaf<'_> {
    /// Returns `canonical_sha256` and the core digest, if the rows are intact.
    fn pair(&self) -> Option<Pair> {
        let record: Digest = self.record.try_into().ok()?;
        let is_intact = self.state.is_intact() && suffix_of(&record) == self.suffix;
        is_intact.then_some((record, self.state.core_digest.try_into().ok()?))
    }
}

fn prefix(record: &Digest, depth: usize) -> String {
    hex(record)[..depth].to_owned()
}

fn digit(record: &Digest, level: usize) -> u8 {
    let byte = record[level / 2];
    if level % 2 == 1 {
        byte & 15
    } else {
        byte >> 4
    }
}

/// Returns the node of leaves that agree in their first digits, ascending.
fn subtree(leaves: &[Pair], level: usize) -> Node {
    match leaves {
        [] => Node {
            size: 0,
            digest: NOTHING,
        },
        [(record, core)] => Node {
            size: 1,
            digest: sha256(&[&[0], &record[..], core].concat()),
        },
        _ => {
            let mut text = vec![1];
            for one in 0..16 {
                let start = leaves.partition_point(|leaf| digit(&leaf.0, level) < one);
                let end = leaves.partition_point(|leaf| digit(&leaf.0, level) <= one);
                text.extend_from_slice(&subtree(&leaves[start..end], level + 1).digest);
            }
            Node {
                size: leaves.len(),
                digest: sha256(&text),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_joined_from_their_leaves() {
        let (mut one, mut other) = ([0; 32], [0; 32]);
        (one[31], other[31]) = (1, 2);
        let leaf = |record: &Digest| sha256(&[&[0], &record[..], &[7; 32]].concat());
        let pairs = [(one, [7; 32]), (other, [7; 32])];
        assert_eq!(subtree(&pairs[..1], 4).digest, leaf(&one));
        let mut text = vec![1; 1];
        text.extend_from_slice(&NOTHING);
        text.extend_from_slice(&leaf(&one));
        text.extend_from_slice(&leaf(&other));
        text.extend_from_slice(&[0; 13 * 32]);
        let lowest = subtree(&pairs, 63);
        assert_eq!((lowest.size, lowest.digest), (2, sha256(&text)));
        let above = [&[1][..], &lowest.digest, &[0; 15 * 32]].concat();
        assert_eq!(subtree(&pairs, 62).digest, sha256(&above));
        assert_eq!(subtree(&[], 0).digest, NOTHING);
    }

    #[test]
    fn a_damaged_leaf_gives_no_nodes() {
        assert!(nodes(&[], 4).is_some_and(|found| found.is_empty()));
        let state = StateRow {
            record_id: 1,
            digest: &[0; 32],
            core_digest: &[0; 32],
            valid_event_count: 0,
            invalid_event_count: 0,
            equivocation_count: 0,
            totals_checksum: &[0; 16],
            outline: &[],
            checksum: &[0; 16],
        };
        let leaf = Leaf {
            record: &[0; 32],
            suffix: "AAAAAAAAAAAAAAAAAAAAAAAAAA",
            state,
        };
        assert!(nodes(&[leaf], 4).is_none());
    }
}
