//! Two trees of a cluster → what changes on which node.

use super::compare::{Change, compare};
use super::config::{Config, Thing};
use super::meaning::can_wait;
use super::{Before, Effect, Facts, NodeFact};
use crate::terms::Role;
use serde::Serialize;
use std::collections::BTreeMap;

/// What changes from one tree to another.
#[derive(Debug, Default)]
pub struct Comparison {
    /// By name; those that stay as they are aren't here.
    pub nodes: BTreeMap<String, NodeChange>,
    /// Other files for git that change, by path.
    pub files: Vec<String>,
    /// Whether the new tree is in git already.
    pub is_committed: bool,
}

/// What changes on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeChange {
    /// Whether it comes, stays or goes.
    #[serde(flatten)]
    pub state: State,
    /// Whether its MAC address changes: with its new config, the machine that it was would be in no network.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub another_machine: bool,
    /// What it is now; of a node that goes, what it was.
    pub roles: Vec<String>,
    /// What it does when it takes its config; `None` for a node that goes.
    pub effect: Option<Effect>,
    /// Its config's; none for a node that comes or goes.
    pub changes: Vec<Change>,
}

/// What becomes of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// It isn't in the old tree.
    New {
        /// The name of the node that had its address and goes: the same machine.
        was: Option<String>,
    },
    /// Its config changes.
    Changed,
    /// It runs a config that nobody knows, and gets the one of the new tree.
    Unclear,
    /// It isn't Ready, so its disk may have any config: it gets the one of the new tree.
    Away,
    /// It isn't in the new tree.
    Gone {
        /// The name of the node that gets its address.
        becomes: Option<String>,
    },
}

/// A config that can't be compared, and where it is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}\nRestore it from git, or run `remuda gen`")]
pub struct Unreadable(String);

impl Comparison {
    /// Compares two configs of a node, without the file `ignored`; `file` is the old one's name for messages.
    pub fn changes(file: &str, old: &str, new: &str, ignored: Option<&str>) -> Result<Vec<Change>, Unreadable> {
        let read = |file: &str, text| Config::read(file, text).map_err(Unreadable);
        let mut changes = compare(&read(file, old)?, &read("the new config", new)?);
        changes.retain(|change| !matches!(&change.thing, Thing::File(path) if Some(path.as_str()) == ignored));
        Ok(changes)
    }

    /// Puts together what was found: the changes of each node whose config differs, and which nodes there were.
    pub fn of(before: &Before, facts: &Facts, changed: BTreeMap<String, Vec<Change>>, files: Vec<String>, is_committed: bool) -> Self {
        let has_one_api = facts.with_role(Role::ControlPlane).count() == 1;
        let mut nodes = BTreeMap::new();
        let old_address = |name: &str| before.node(name).and_then(|node| node.address);
        let new_address = |name: &str| facts.node(name).and_then(|node| node.address);
        let leaving: Vec<&str> = before.nodes().filter(|name| !facts.nodes.contains_key(*name)).collect();
        let gone: BTreeMap<String, &str> = leaving.iter().filter_map(|name| Some((old_address(name)?, *name))).collect();
        for name in facts.nodes.keys() {
            let was = new_address(name).filter(|_| !before.has(name)).and_then(|address| gone.get(&address).map(|was| (*was).to_owned()));
            let state = match (before.has(name), before.is_unclear(name)) {
                (false, _) => State::New { was },
                (true, _) if before.is_away(name) => State::Away,
                (true, true) => State::Unclear,
                (true, false) if changed.contains_key(name) => State::Changed,
                (true, false) => continue,
            };
            let (roles, changes) = (roles(facts.node(name)), changed.get(name).cloned().unwrap_or_default());
            let effect = effect(&state, facts, name, &changes, has_one_api);
            let another_machine = is_another_machine(&changes);
            nodes.insert(name.clone(), NodeChange { state, another_machine, roles, effect: Some(effect), changes });
        }
        for name in leaving {
            let taken = |node: &&String| new_address(node).is_some() && new_address(node) == old_address(name) && !before.has(node);
            let becomes = facts.nodes.keys().find(taken).cloned();
            let (state, roles) = (State::Gone { becomes }, roles(before.node(name)));
            let change = NodeChange { state, another_machine: false, roles, effect: None, changes: Vec::new() };
            nodes.insert(name.to_owned(), change);
        }
        Self { nodes, files, is_committed }
    }

    /// Whether both trees are the same.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.files.is_empty()
    }
}

fn roles(node: Option<NodeFact>) -> Vec<String> {
    node.map(|node| node.roles.iter().map(|role| role.as_str().to_owned()).collect()).unwrap_or_default()
}

/// Whether an interface that is known by its MAC address goes, and another one comes.
fn is_another_machine(changes: &[Change]) -> bool {
    let of_card = |change: &&Change| change.key.starts_with("rancher.network.interfaces.mac=") && change.key.ends_with(".dhcp");
    let cards = changes.iter().filter(|change| change.thing == Thing::Setting).filter(of_card);
    let (gone, come): (Vec<&Change>, Vec<&Change>) = cards.partition(|change| change.new.is_none());
    !gone.is_empty() && come.iter().any(|change| change.old.is_none())
}

fn effect(state: &State, facts: &Facts, name: &str, changes: &[Change], has_one_api: bool) -> Effect {
    let can_wait = match state {
        State::Changed => changes.iter().all(can_wait),
        State::Unclear | State::Away => false,
        State::New { .. } | State::Gone { .. } => true,
    };
    let is = |role| facts.node(name).is_some_and(|node| node.is(role));
    match (can_wait, is(Role::ControlPlane), is(Role::Worker)) {
        (true, ..) => Effect::NextBoot,
        (false, true, _) if has_one_api => Effect::ApiAway,
        (false, false, false) => Effect::Reboot,
        _ => Effect::Drain,
    }
}
