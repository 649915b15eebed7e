//! What a container sees of layers, one upon the other: a higher layer's entries replace those below,
//! and its whiteouts remove them (OCI image spec 1.1, "Layer Filesystem Changeset").

use super::layer::{Entries, Entry};
use super::walk::{Attributes, EntryKind};

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";
/// The maximal number of links that a path is followed through, as in Linux.
const LINKS: usize = 40;

/// The merged entries, all parents among them.
#[derive(Debug, Default, Clone)]
pub(super) struct View(Entries);

/// Where an engine puts an entry whose path leads through a link of the same layer.
fn through(layer: &Entries, path: &str) -> String {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let link = above(&path).find_map(|above| match &layer.get(above)?.kind {
            EntryKind::Symlink(to) => Some((above, to)),
            _ => None,
        });
        let Some((link, to)) = link else { break };
        let rest = &path[link.len()..];
        let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut parts: Vec<&str> = if to.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
        for part in to.split('/').chain(rest.split('/')) {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.retain(|part| !part.is_empty());
        path = parts.join("/");
    }
    path
}

/// Whether an engine takes this name for the removal of another.
pub(super) fn is_whiteout(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with(WHITEOUT))
}

/// The folders above a path, the outermost first.
pub(super) fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// The path that an entry of this name removes.
pub(super) fn removed(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let hidden = name.strip_prefix(WHITEOUT).filter(|_| name != OPAQUE)?;
    Some(if folder.is_empty() { hidden.to_owned() } else { format!("{folder}/{hidden}") })
}

impl View {
    /// Puts a layer on top.
    pub(super) fn add(&mut self, layer: &Entries) {
        for path in layer.keys().filter(|path| is_whiteout(path)) {
            if let Some(hidden) = removed(path) {
                self.empty(&hidden);
                self.0.remove(&hidden);
            } else if let Some(folder) = path.strip_suffix(OPAQUE).filter(|folder| folder.is_empty() || folder.ends_with('/')) {
                self.empty(folder.trim_end_matches('/'));
            }
        }
        for (path, entry) in layer.iter().filter(|(path, _)| !is_whiteout(path)) {
            let path = &through(layer, path);
            for above in above(path) {
                if self.0.get(above).is_none_or(|above| above.kind != EntryKind::Folder) {
                    self.0.insert(above.to_owned(), Entry { kind: EntryKind::Folder, attributes: Attributes::plain(0o755) });
                }
            }
            if entry.kind != EntryKind::Folder {
                self.empty(path);
            }
            self.0.insert(path.clone(), entry.clone());
        }
    }

    /// Removes what is below a folder.
    fn empty(&mut self, folder: &str) {
        if folder.is_empty() {
            self.0.retain(|path, _| path.is_empty());
            return;
        }
        // `0` follows `/`.
        let below = self.0.range(format!("{folder}/")..format!("{folder}0"));
        let below: Vec<String> = below.map(|(path, _)| path.clone()).collect();
        below.iter().for_each(|path| drop(self.0.remove(path)));
    }

    /// The entry at a path itself, without following links.
    pub(super) fn get(&self, path: &str) -> Option<&Entry> {
        self.0.get(path)
    }

    /// Whether something is at an absolute path, through links.
    pub(super) fn has(&self, path: &str) -> bool {
        let mut left: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let (mut at, mut links) = (Vec::<String>::new(), 0);
        while let Some(part) = left.pop() {
            match part.as_str() {
                "" | "." => {}
                ".." => drop(at.pop()),
                _ => {
                    at.push(part);
                    match self.0.get(&at.join("/")).map(|entry| &entry.kind) {
                        None => return false,
                        Some(EntryKind::Symlink(to)) if links < LINKS => {
                            links += 1;
                            if to.starts_with('/') {
                                at.clear();
                            } else {
                                at.pop();
                            }
                            left.extend(to.rsplit('/').map(str::to_owned));
                        }
                        Some(EntryKind::Symlink(_)) => return false,
                        Some(_) => {}
                    }
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn layer(entries: &[(&str, &str)]) -> Entries {
        let entry = |(path, kind): &(&str, &str)| {
            let kind = match *kind {
                "/" => EntryKind::Folder,
                "" => EntryKind::Device,
                to => EntryKind::Symlink(to.to_owned()),
            };
            ((*path).to_owned(), Entry { kind, attributes: Attributes::plain(0o755) })
        };
        entries.iter().map(entry).collect::<BTreeMap<_, _>>()
    }

    fn view(layers: &[Entries]) -> View {
        let mut view = View::default();
        layers.iter().for_each(|layer| view.add(layer));
        view
    }

    #[test]
    fn whiteouts_and_opaque_folders_hide_what_is_below_and_not_what_is_beside() {
        let base = layer(&[("a/b", ""), ("a/c", ""), ("d/e/f", ""), ("d-e", ""), ("g", "")]);
        let seen = view(&[base, layer(&[("a/.wh.b", ""), ("d/.wh..wh..opq", ""), ("d/new", ""), (".wh.g", "")])]);
        let there = |path| seen.has(path);
        assert!(!there("/a/b") && there("/a/c") && !there("/d/e/f") && !there("/d/e") && there("/d/new") && there("/d-e") && !there("/g"));
    }

    #[test]
    fn a_path_is_found_through_links_and_an_endless_one_is_not() {
        let seen = view(&[layer(&[
            ("usr/bin/sh", ""),
            ("bin", "usr/bin"),
            ("usr/bin/ash", "/bin/sh"),
            ("x", "y"),
            ("y", "x"),
            ("up", "../../usr"),
        ])]);
        assert!(seen.has("/bin/sh") && seen.has("/bin/ash") && seen.has("/up/bin/sh"));
        assert!(!seen.has("/x") && !seen.has("/bin/bash"));
    }

    #[test]
    fn what_is_below_a_link_of_its_own_layer_is_where_the_link_leads() {
        let own = [
            ("lib64", "usr/lib64"),
            ("lib64/ld.so", ""),
            ("usr/up", "../opt"),
            ("usr/up/x", ""),
            ("abs", "/srv/"),
            ("abs/y", ""),
            ("loop", "loop"),
            ("loop/z", ""),
        ];
        let seen = view(&[layer(&own)]);
        assert!(matches!(&seen.get("lib64").unwrap().kind, EntryKind::Symlink(to) if to == "usr/lib64"));
        for path in ["/lib64/ld.so", "/usr/lib64/ld.so", "/opt/x", "/srv/y"] {
            assert!(seen.has(path), "{path}");
        }
        // In a layer of its own, an engine makes a folder, which hides the link.
        let seen = view(&[layer(&[("lib64", "usr/lib64")]), layer(&[("lib64/ld.so", "")])]);
        assert!(seen.get("lib64").unwrap().kind == EntryKind::Folder && !seen.has("/usr/lib64/ld.so"));
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_hides_what_was_in_it() {
        let seen = view(&[layer(&[("a/b/c", "")]), layer(&[("a/b", "")])]);
        assert!(seen.has("/a/b") && !seen.has("/a/b/c"));
    }
}
