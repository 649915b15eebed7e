//! What all nodes have in common, and what is left of each.

use super::value::{Map, Value};

/// Keys whose lists have no order: what all have is common, wherever it is.
const UNORDERED: [&str; 2] = ["ssh_keys", "modules"];
/// Keys that a stronger level replaces as a whole.
const WHOLE: [&str; 2] = ["command", "entrypoint"];
/// Keys that say which node it is.
const OWN: [&str; 2] = ["address", "mac"];

/// Moves what all of `nodes` have into the result. Merged over it by a profile's rule (mappings merge, lists are
/// appended to, anything else is replaced), what is left of each gives what it was. The `only` node keeps its
/// interfaces.
pub(super) fn common(mut nodes: Vec<&mut Map>, only: bool) -> Map {
    let own: Vec<(&str, Vec<Option<Value>>)> = OWN
        .into_iter()
        .chain(only.then_some("interfaces"))
        .map(|key| (key, nodes.iter_mut().map(|node| node.remove(key)).collect()))
        .collect();
    let common = shared(&mut nodes);
    for (key, values) in own {
        for (node, value) in nodes.iter_mut().zip(values) {
            node.extend(value.map(|value| (key.to_owned(), value)));
        }
    }
    common
}

fn shared(nodes: &mut [&mut Map]) -> Map {
    let mut common = Map::new();
    let Some(first) = nodes.first() else { return common };
    let keys: Vec<String> = first.keys().filter(|key| nodes.iter().all(|node| node.contains_key(*key))).cloned().collect();
    for key in keys {
        let mut values: Vec<&mut Value> = nodes.iter_mut().filter_map(|node| node.get_mut(&key)).collect();
        let Some(shared) = shared_value(&key, &mut values) else { continue };
        for node in nodes.iter_mut() {
            if node.get(&key).is_some_and(|rest| rest.is_empty() || *rest == shared) {
                node.remove(&key);
            }
        }
        common.insert(key, shared);
    }
    common
}

/// What all values of `key` have in common. It is taken out of each, except where all are the same.
fn shared_value<'v>(key: &str, values: &'v mut [&mut Value]) -> Option<Value> {
    let first = (*values.first()?).clone();
    if values.iter().all(|value| **value == first) {
        return Some(first);
    }
    if key == "files" {
        return shared_files(values);
    }
    if WHOLE.contains(&key) {
        return None;
    }
    if let Value::Map(_) = first {
        let mut maps = maps(values)?;
        let common = shared(&mut maps);
        return (!common.is_empty()).then_some(Value::Map(common));
    }
    let list = |value: &'v mut &mut Value| if let Value::List(list) = &mut **value { Some(list) } else { None };
    let lists: Vec<&mut Vec<Value>> = values.iter_mut().map(list).collect::<Option<_>>()?;
    let common = if UNORDERED.contains(&key) { in_all(&lists) } else { beginning(&lists) };
    if common.is_empty() {
        return None;
    }
    for list in lists {
        list.retain(|item| !common.contains(item));
    }
    Some(Value::List(common))
}

/// Files are the same or not: half a file in each of two places can't be read.
fn shared_files(values: &mut [&mut Value]) -> Option<Value> {
    let mut maps = maps(values)?;
    let mut common = Map::clone(maps.first()?);
    common.retain(|path, file| maps.iter().all(|map| map.get(path) == Some(file)));
    maps.iter_mut().for_each(|map| map.retain(|path, _| !common.contains_key(path)));
    (!common.is_empty()).then_some(Value::Map(common))
}

/// The values as mappings; `None` if one isn't.
fn maps<'v>(values: &'v mut [&mut Value]) -> Option<Vec<&'v mut Map>> {
    let map = |value: &'v mut &mut Value| if let Value::Map(map) = &mut **value { Some(map) } else { None };
    values.iter_mut().map(map).collect()
}

fn in_all(lists: &[&mut Vec<Value>]) -> Vec<Value> {
    lists[0].iter().filter(|item| lists.iter().all(|list| list.contains(item))).cloned().collect()
}

/// The items with which all lists begin; none, if one of them is in a list again.
fn beginning(lists: &[&mut Vec<Value>]) -> Vec<Value> {
    let length = (0..).take_while(|at| lists[0].get(*at).is_some_and(|item| lists.iter().all(|list| list.get(*at) == Some(item)))).count();
    let common = lists[0][..length].to_vec();
    let is_repeated = lists.iter().any(|list| list[length..].iter().any(|item| common.contains(item)));
    if is_repeated { Vec::new() } else { common }
}
