//! The tree against a second, plain definition of its roots, and its proofs against lies.

use std::collections::BTreeMap;

use super::map::{Map, MapProof};
use super::*;
use crate::base::crypto::Joint;
use crate::base::random::{Random, Stream};

/// A plain model of the map.
type Model = BTreeMap<Digest, Digest>;

fn digest(number: u64) -> Digest {
    Hasher::new("test").number(number).finish()
}

/// A key whose first bytes are these: keys that share long beginnings are rare among digests.
fn key(beginning: &[u8], number: u64) -> Digest {
    let mut key = digest(number);
    key.0[..beginning.len()].copy_from_slice(beginning);
    key
}

fn bit(key: &Digest, at: usize) -> bool {
    key.0[at / 8] & (0x80 >> (at % 8)) != 0
}

/// The root of a map by its definition, from nothing but the entries.
fn root_of(model: &Model) -> Digest {
    fn trie(entries: &[(&Digest, &Digest)]) -> Digest {
        let [first, .., last] = entries else {
            let leaf =
                |(key, entry): &(&Digest, &Digest)| Joint::new("map leaf").join(0, key, entry);
            return entries.first().map_or(Digest::ZERO, leaf);
        };
        let differ = |at: &usize| bit(first.0, *at) != bit(last.0, *at);
        let at = (0..256).find(differ).unwrap();
        let ones = entries.iter().position(|(key, _)| bit(key, at)).unwrap();
        let (left, right) = (trie(&entries[..ones]), trie(&entries[ones..]));
        Joint::new("map fork").join(at as u32, &left, &right)
    }
    trie(&model.iter().collect::<Vec<_>>())
}

fn map_of(model: &Model) -> Map {
    let mut map = Map::default();
    model.iter().for_each(|(key, entry)| map.set(key, entry));
    map
}

/// Every digest that differs from this one in one bit.
fn neighbours(digest: Digest) -> impl Iterator<Item = Digest> {
    (0..256).map(move |at| {
        let mut changed = digest;
        changed.0[at / 8] ^= 1 << (at % 8);
        changed
    })
}

#[test]
fn a_map_is_what_was_written_whatever_the_way_there() {
    for seed in 0..24 {
        let mut random = Random::new(seed, Stream::Test);
        let (mut map, mut model) = (Map::default(), Model::new());
        let beginnings: [&[u8]; 4] = [&[], &[0], &[7; 9], &[0xff; 31]];
        for turn in 0..400 {
            // A seed of few keys meets each of them often; one of many makes the map grow.
            let keys = [8, 60, 400][seed as usize % 3];
            let number = random.below(keys);
            let key = key(beginnings[number as usize % 4], number);
            if random.below(3) == 0 {
                assert_eq!(map.remove(&key), model.remove(&key).is_some());
            } else {
                let entry = digest(random.below(3));
                map.set(&key, &entry);
                model.insert(key, entry);
            }
            assert_eq!(map.get(&key), model.get(&key));
            assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
            let expected = root_of(&model);
            assert_eq!(
                map.root(),
                expected,
                "seed {seed}, turn {turn}, before sealing"
            );
            if random.below(4) == 0 {
                map.seal();
                assert_eq!(map.root(), expected, "seed {seed}, turn {turn}, sealed");
            }
        }
    }
}

#[test]
fn the_order_of_writing_leaves_no_trace() {
    let model: Model = (0..300).map(|n| (digest(n), digest(n + 1))).collect();
    let mut numbers: Vec<u64> = (0..300).collect();
    let mut random = Random::new(1, Stream::Test);
    for _ in 0..8 {
        for place in (1..numbers.len()).rev() {
            numbers.swap(place, random.below(place as u64 + 1) as usize);
        }
        let mut map = Map::default();
        for &number in &numbers {
            map.set(&digest(number), &digest(random.below(9)));
            map.set(&digest(number), &digest(number + 1));
            if random.below(10) == 0 {
                map.seal();
            }
        }
        assert_eq!(map.root(), root_of(&model));
    }
}

#[test]
fn removing_restores_the_root_from_before() {
    let mut map = Map::default();
    let mut roots = vec![map.root()];
    for number in 0..200 {
        map.set(&digest(number), &digest(number));
        roots.push(map.root());
    }
    for number in (0..200).rev() {
        assert!(map.remove(&digest(number)));
        assert!(!map.remove(&digest(number)), "it is gone");
        roots.pop();
        assert_eq!(Some(&map.root()), roots.last());
    }
    assert_eq!(map.root(), Digest::ZERO);
}

#[test]
fn a_copy_goes_its_own_way() {
    let mut map = map_of(&(0..50).map(|n| (digest(n), digest(0))).collect());
    map.seal();
    let (copy, root) = (map.clone(), map.root());
    (0..50).for_each(|number| map.set(&digest(number), &digest(1)));
    map.seal();
    assert_ne!(map.root(), root);
    assert_eq!(copy.root(), root);
    assert_eq!(copy.get(&digest(7)), Some(&digest(0)));
}

#[test]
fn presence_and_absence_are_proven_in_maps_of_every_size() {
    for size in 0..70 {
        let model: Model = (0..size).map(|n| (digest(n), digest(n + 1))).collect();
        let mut map = map_of(&model);
        for sealed in [false, true] {
            if sealed {
                map.seal();
            }
            for number in 0..100 {
                let key = digest(number);
                let (proof, entry) = (map.prove(&key), model.get(&key));
                assert_eq!(proof.root(&key, entry), Some(map.root()));
                let lies = [None, Some(digest(number)), Some(digest(number + 1))];
                for lie in lies.iter().map(Option::as_ref).filter(|lie| *lie != entry) {
                    assert_ne!(proof.root(&key, lie), Some(map.root()), "{size} {number}");
                }
            }
        }
    }
}

#[test]
fn keys_that_share_all_but_the_last_bit_are_told_apart() {
    let (left, mut right) = (Digest([0x5a; 32]), Digest([0x5a; 32]));
    right.0[31] ^= 1;
    let mut map = Map::default();
    (0..100).for_each(|number| map.set(&digest(number), &digest(0)));
    map.set(&left, &digest(1));
    let absent = map.prove(&right);
    assert_eq!(absent.root(&right, None), Some(map.root()));
    map.set(&right, &digest(2));
    for (key, entry) in [(left, digest(1)), (right, digest(2))] {
        let proof = map.prove(&key);
        assert_eq!(proof.way.last().map(|(bit, _)| *bit), Some(255));
        assert_eq!(proof.root(&key, Some(&entry)), Some(map.root()));
    }
    assert_ne!(absent.root(&right, None), Some(map.root()));
}

/// Every proof that differs from this one in one bit or one step.
fn altered(proof: &MapProof) -> Vec<MapProof> {
    let mut altered = Vec::new();
    let mut alter = |change: &dyn Fn(&mut MapProof)| {
        let mut other = proof.clone();
        change(&mut other);
        assert_ne!(&other, proof);
        altered.push(other);
    };
    for (at, (_, digest)) in proof.way.iter().enumerate() {
        for shift in 0..8 {
            alter(&|other| other.way[at].0 ^= 1 << shift);
        }
        for changed in neighbours(*digest) {
            alter(&|other| other.way[at].1 = changed);
        }
        alter(&|other| {
            other.way.remove(at);
        });
        alter(&|other| other.way.insert(at, other.way[at]));
    }
    match proof.end {
        Some((key, entry)) => {
            neighbours(key).for_each(|key| alter(&|other| other.end = Some((key, entry))));
            neighbours(entry).for_each(|entry| alter(&|other| other.end = Some((key, entry))));
            alter(&|other| other.end = None);
        }
        None => alter(&|other| other.end = Some((digest(0), digest(1)))),
    }
    altered
}

#[test]
fn no_bit_of_a_proof_of_an_entry_can_be_changed() {
    let mut tree = Tree::default();
    for number in 0..40 {
        tree.set(&digest(number), &digest(number + 1));
        tree.append(&digest(number + 2));
    }
    let root = tree.root();
    for number in [3, 39, 40, 41] {
        let (key, entry) = (digest(number), digest(number + 1));
        let entry = (number < 40).then_some(&entry);
        let proof = tree.prove(&key);
        assert!(verify(&root, &key, entry, &proof));
        for map in altered(&proof.map) {
            let proof = EntryProof {
                map,
                ..proof.clone()
            };
            assert!(!verify(&root, &key, entry, &proof), "{proof:?}");
        }
        for log in neighbours(proof.log) {
            let proof = EntryProof {
                log,
                ..proof.clone()
            };
            assert!(!verify(&root, &key, entry, &proof));
        }
        let calls = proof.calls + 1;
        let other = EntryProof {
            calls,
            ..proof.clone()
        };
        assert!(!verify(&root, &key, entry, &other));
        for root in neighbours(root) {
            assert!(!verify(&root, &key, entry, &proof));
        }
        if let Some(entry) = entry {
            for key in neighbours(key) {
                assert!(!verify(&root, &key, Some(entry), &proof));
            }
            for entry in neighbours(*entry) {
                assert!(!verify(&root, &key, Some(&entry), &proof));
            }
        }
    }
}

#[test]
fn the_proof_of_absence_covers_no_key_that_is_there() {
    let model: Model = (0..64).map(|n| (digest(n), digest(n + 1))).collect();
    let map = map_of(&model);
    for absent in 64..96 {
        let proof = map.prove(&digest(absent));
        for there in model.keys() {
            assert_ne!(proof.root(there, None), Some(map.root()));
        }
    }
}

#[test]
fn proofs_grow_with_the_logarithm() {
    let map = map_of(&(0..4096).map(|n| (digest(n), digest(n))).collect());
    for number in 0..200 {
        let steps = map.prove(&digest(number)).way.len();
        assert!((9..=22).contains(&steps), "about 12: {steps}");
    }
    assert!(map.prove(&digest(1)).size() < 22 * 33 + 3);
}

/// The root of a log by its definition: perfect trees of falling size.
fn log_root_of(digests: &[Digest]) -> Digest {
    fn perfect(digests: &[Digest]) -> Digest {
        let joint = Joint::new("log");
        if let [digest] = digests {
            return joint.join(0, digest, &Digest::ZERO);
        }
        let (left, right) = digests.split_at(digests.len() / 2);
        joint.join(digests.len().ilog2(), &perfect(left), &perfect(right))
    }
    let mut hasher = Hasher::new("log").number(digests.len() as u64);
    let mut rest = digests;
    while !rest.is_empty() {
        let (tree, after) = rest.split_at(1 << rest.len().ilog2());
        hasher = hasher.digest(&perfect(tree));
        rest = after;
    }
    hasher.finish()
}

#[test]
fn every_place_of_logs_of_many_sizes_is_proven_and_nothing_else() {
    let digests: Vec<Digest> = (0..70).map(digest).collect();
    let mut log = Log::default();
    assert_eq!((log.root(), log.is_empty()), (log_root_of(&[]), true));
    for size in 1..=70_u64 {
        assert_eq!(log.append(&digests[size as usize - 1]), size - 1);
        let root = log.root();
        assert_eq!(root, log_root_of(&digests[..size as usize]));
        for place in 0..size {
            let proof = log.prove(place).unwrap();
            for (other, digest) in (0..).zip(&digests) {
                let shown = proof.root(size, other, digest) == Some(root);
                assert_eq!(shown, other == place, "{size}: {place} as {other}");
            }
            for length in (0..80).filter(|length| *length != size) {
                assert_ne!(
                    proof.root(length, place, &digests[place as usize]),
                    Some(root)
                );
            }
        }
        assert!(log.prove(size).is_none());
    }
}

#[test]
fn no_bit_of_a_proof_of_a_call_can_be_changed() {
    let mut tree = Tree::default();
    (0..45).for_each(|number| assert_eq!(tree.append(&digest(number)), number));
    tree.set(&digest(1), &digest(2));
    let root = tree.root();
    for place in [0, 31, 32, 44] {
        let call = digest(place);
        let proof = tree.prove_call(place).unwrap();
        assert!(verify_call(&root, place, &call, &proof));
        let mut altered = Vec::new();
        let mut alter = |change: &dyn Fn(&mut CallProof)| {
            let mut other = proof.clone();
            change(&mut other);
            altered.push(other);
        };
        for (at, digest) in proof.log.way.iter().enumerate() {
            neighbours(*digest).for_each(|digest| alter(&|other| other.log.way[at] = digest));
        }
        for (at, digest) in proof.log.peaks.iter().enumerate() {
            neighbours(*digest).for_each(|digest| alter(&|other| other.log.peaks[at] = digest));
        }
        neighbours(proof.map).for_each(|digest| alter(&|other| other.map = digest));
        (0..64).for_each(|shift| alter(&|other| other.calls ^= 1 << shift));
        alter(&|other| other.log.way.push(digest(0)));
        alter(&|other| other.log.way.truncate(place as usize % 5));
        alter(&|other| other.log.peaks.truncate(1));
        for other in altered.iter().filter(|other| **other != proof) {
            assert!(
                !verify_call(&root, place, &call, other),
                "{place}: {other:?}"
            );
        }
        neighbours(root).for_each(|root| assert!(!verify_call(&root, place, &call, &proof)));
        neighbours(call).for_each(|call| assert!(!verify_call(&root, place, &call, &proof)));
    }
    assert!(tree.prove_call(45).is_none());
}

#[test]
fn entries_calls_and_their_number_all_make_the_root() {
    let mut tree = Tree::default();
    let mut roots = vec![tree.root()];
    let mut look = |tree: &Tree| {
        let root = tree.root();
        assert!(!roots.contains(&root));
        roots.push(root);
    };
    tree.set(&digest(1), &digest(2));
    look(&tree);
    tree.append(&digest(3));
    look(&tree);
    tree.append(&digest(3));
    look(&tree);
    tree.set(&digest(1), &digest(3));
    look(&tree);
    assert!(tree.remove(&digest(1)));
    look(&tree);
    assert_eq!((tree.entries(), tree.calls()), (Digest::ZERO, 2));
}
