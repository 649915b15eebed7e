//! A tree that changed many times, or that somebody damaged, is the one that a run from scratch makes.

mod common;

use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use remuda::build::{self, Paths, Project};
use remuda::pki::{self, Envelope, Seed};
use remuda::tree::Intent;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const PROFILE: &str = "
cluster: sealed
target: rancheros-1.5
line: kubernetes-1.20
network: {nodes: 10.0.0.0/24, gateway: 10.0.0.1}
nodes:
  m: {roles: [control-plane, worker], address: 10.0.0.11}
";

/// What is added to the profile: each changes other files, or other parts of a file.
const CHANGES: [&str; 8] = [
    "",
    "defaults: {environment: {A: b}}\n",
    "  w: {role: worker, address: 10.0.0.12}\n",
    "pki: {generation: 2}\n",
    "pki: {purposes: {kubelet: {generation: 2}}, users: {alice: {groups: [a]}}}\n",
    "pki: {not_before: 2026-01-01}\n",
    "pki: {ssh_host_keys: true}\n",
    "media: {url: http://10.0.0.1, matchbox: true}\n",
];

type Files = BTreeMap<PathBuf, (u32, Vec<u8>)>;

#[derive(Debug, Clone)]
enum Step {
    Profile(usize),
    Seed(usize),
    /// Something happens to one of the files in `sealed/`.
    Damage(prop::sample::Index, Damage),
}

#[derive(Debug, Clone)]
enum Damage {
    Bit(prop::sample::Index),
    Cut(prop::sample::Index),
    Longer,
    Gone,
    Readable,
    /// It gets the bytes of another file.
    Other(prop::sample::Index),
    /// Its mark becomes that of another file.
    Mark(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let damage = prop_oneof![
        index().prop_map(Damage::Bit),
        index().prop_map(Damage::Cut),
        Just(Damage::Longer),
        Just(Damage::Gone),
        Just(Damage::Readable),
        index().prop_map(Damage::Other),
        index().prop_map(Damage::Mark),
    ];
    prop_oneof![
        2 => (0..CHANGES.len()).prop_map(Step::Profile),
        1 => (0..2_usize).prop_map(Step::Seed),
        3 => (index(), damage).prop_map(|(file, damage)| Step::Damage(file, damage)),
    ]
}

struct World {
    folder: tempfile::TempDir,
    seeds: [Seed; 2],
    /// What a run from scratch makes, by profile and seed.
    whole: HashMap<(usize, usize), Files>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seeds = ["a", "b"].map(|name| pki::create(&utf8(folder.path().join(name)), &Envelope::Plain).unwrap());
        Self { folder, seeds, whole: HashMap::new() }
    }

    /// One run on the tree `name`, and the files that it leaves.
    fn write(&self, name: &str, profile: usize, seed: usize) -> Files {
        let [path, root] = ["p.yaml", name].map(|name| utf8(self.folder.path().join(name)));
        fs::write(&path, format!("{PROFILE}{}", CHANGES[profile])).unwrap();
        let mut project = Project::open(Paths::of(path)).unwrap();
        let cluster = project.cluster().unwrap();
        build::write(&cluster, &root, Intent::Write { force: true }, Some(&self.seeds[seed])).unwrap();
        files(&root)
    }

    fn whole(&mut self, profile: usize, seed: usize) -> &Files {
        if !self.whole.contains_key(&(profile, seed)) {
            let files = self.write(&format!("whole-{profile}-{seed}"), profile, seed);
            self.whole.insert((profile, seed), files);
        }
        &self.whole[&(profile, seed)]
    }

    fn damage(&self, tree: &str, file: prop::sample::Index, damage: &Damage) {
        let root = self.folder.path().join(tree);
        let all: Vec<PathBuf> = files(&utf8(root.clone())).into_keys().filter(|path| path.starts_with("sealed")).collect();
        let path = root.join(file.get(&all));
        let mut bytes = fs::read(&path).unwrap();
        match damage {
            Damage::Bit(at) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1;
            }
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Longer => bytes.push(b'\n'),
            Damage::Gone => return fs::remove_file(path).unwrap(),
            Damage::Readable => return fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap(),
            Damage::Other(other) => bytes = fs::read(root.join(other.get(&all))).unwrap(),
            Damage::Mark(other) => {
                let manifest = root.join("sealed/manifest.json");
                let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(&fs::read(&manifest).unwrap()) else { return };
                let marks = value["marks"].as_object_mut().unwrap();
                let other = marks.values().nth(other.index(marks.len())).unwrap().clone();
                let at = file.index(marks.len());
                *marks.values_mut().nth(at).unwrap() = other;
                return fs::write(manifest, serde_json::to_vec(&value).unwrap()).unwrap();
            }
        }
        fs::write(path, bytes).unwrap();
    }
}

fn utf8(path: PathBuf) -> Utf8PathBuf {
    path.try_into().unwrap()
}

fn files(root: &Utf8Path) -> Files {
    let mode = |path: &PathBuf| fs::metadata(root.as_std_path().join(path)).unwrap().permissions().mode() & 0o777;
    common::files(root.as_std_path()).into_iter().map(|(path, bytes)| (path.clone(), (mode(&path), bytes))).collect()
}

#[test]
fn whatever_happened_to_a_tree_the_next_run_makes_the_whole() {
    let mut world = World::new();
    let mut runner = TestRunner::deterministic();
    for case in 0..16 {
        let tree = format!("tree-{case}");
        let (mut profile, mut seed) = (0, 0);
        let steps = prop::collection::vec(step(), 1..5).new_tree(&mut runner).unwrap().current();
        world.write(&tree, profile, seed);
        for step in &steps {
            match step {
                Step::Profile(number) => profile = *number,
                Step::Seed(number) => seed = *number,
                Step::Damage(file, damage) => world.damage(&tree, *file, damage),
            }
            let made = world.write(&tree, profile, seed);
            let whole = world.whole(profile, seed);
            let differing: Vec<_> = whole.keys().chain(made.keys()).filter(|path| whole.get(*path) != made.get(*path)).collect();
            assert!(differing.is_empty(), "{steps:?}: {differing:?}");
            assert!(made.iter().all(|(path, (mode, _))| *mode == if path.starts_with("sealed") { 0o600 } else { 0o644 }));
        }
    }
}
