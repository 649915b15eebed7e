//! Root filesystems of Debian's packages: `debian/rootfs.yaml` and `debian/packages.yaml` beside the lines.

use super::Lines;
use crate::component::rootfs::{Layout, Package, Rootfs, matches};
use crate::terms::Arch;
use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The server that keeps every package that Debian had, for any time.
const SERVER: &str = "https://snapshot.debian.org/archive";

/// All root filesystems.
#[derive(Debug)]
pub struct Debian {
    recipes: Recipes,
    pinned: Pinned,
}

/// `rootfs.yaml`: what somebody decided.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipes {
    /// Patterns of packages that are left out although others depend on them.
    unused: Vec<String>,
    /// What all have in common.
    layout: Layout,
    rootfs: BTreeMap<String, Recipe>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    wanted: Vec<String>,
    /// Of the patterns in `unused`: what isn't left out here.
    #[serde(default)]
    used: Vec<String>,
    #[serde(default)]
    layout: Layout,
}

/// `packages.yaml`: what came of it, with the versions of one day.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    /// The time at which the server is asked for, as `20261128T000000Z`.
    snapshot: String,
    /// The commands of busybox.
    commands: Vec<String>,
    /// The packages of each, by processor.
    rootfs: BTreeMap<String, BTreeMap<Arch, Vec<String>>>,
    packages: BTreeMap<Arch, IndexMap<String, Package>>,
}

impl Debian {
    /// What is wrong with the files, if they can't be read.
    pub fn read(lines: &Lines) -> Result<Self, String> {
        let debian = Self { recipes: parsed(lines, "debian/rootfs.yaml")?, pinned: parsed(lines, "debian/packages.yaml")? };
        debian.check().map_err(|problem| format!("debian/packages.yaml: {problem}; make it again with tests/debian.py"))?;
        Ok(debian)
    }

    /// The two files must belong together.
    fn check(&self) -> Result<(), String> {
        for (name, recipe) in &self.recipes.rootfs {
            let unused =
                |package: &str| self.recipes.unused.iter().any(|pattern| !recipe.used.contains(pattern) && matches(pattern, package));
            for (arch, packages) in self.pinned.rootfs.get(name).ok_or_else(|| format!("it has no {name}"))? {
                let lacks = recipe.wanted.iter().find(|wanted| !packages.contains(wanted));
                if let Some(lacks) = lacks {
                    return Err(format!("{name} for {arch} lacks {lacks}"));
                }
                if let Some(package) = packages.iter().find(|package| unused(package)) {
                    return Err(format!("{name} for {arch} has {package}, which isn't used"));
                }
                let pinned = self.pinned.packages.get(arch);
                if let Some(package) = packages.iter().find(|package| pinned.is_none_or(|all| !all.contains_key(*package))) {
                    return Err(format!("{package} for {arch} isn't among the packages"));
                }
            }
        }
        Ok(())
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.recipes.rootfs.keys().map(String::as_str)
    }

    /// A root filesystem for a processor; `None` if there is none.
    pub fn rootfs(&self, name: &str, arch: Arch) -> Option<Rootfs<'_>> {
        let recipe = self.recipes.rootfs.get(name)?;
        let (names, all) = (self.pinned.rootfs.get(name)?.get(&arch)?, self.pinned.packages.get(&arch)?);
        let packages = names.iter().filter_map(|name| Some((name.as_str(), all.get(name)?))).collect();
        let mut layout = self.recipes.layout.clone().and(recipe.layout.clone());
        if let Some(commands) = &mut layout.commands {
            commands.names.clone_from(&self.pinned.commands);
        }
        Some(Rootfs { packages, layout })
    }

    /// Where a package is, indefinitely.
    pub fn url(&self, package: &Package) -> String {
        let (archive, path) = package.path.split_once('/').unwrap_or_default();
        format!("{SERVER}/{archive}/{}/{path}", self.pinned.snapshot)
    }
}

fn parsed<T: DeserializeOwned>(lines: &Lines, path: &str) -> Result<T, String> {
    let (text, file) = lines.file(path).map_err(|error| error.to_string())?.ok_or_else(|| format!("there is no {path}"))?;
    serde_saphyr::from_str(&text).map_err(|error| format!("{file}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::process::Command;

    /// scripts/components and `images: {source: released}` make the same.
    #[test]
    fn the_recipes_want_the_same_packages() {
        let debian = Debian::read(&Lines::default()).unwrap();
        let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/recipes");
        for (name, recipe) in &debian.recipes.rootfs {
            let script = format!(". $recipes/{}.sh; echo $wanted; echo \"$unused\"", name.trim_end_matches("-12"));
            let output = Command::new("bash").args(["-c", &script]).env("recipes", scripts).output().unwrap();
            let (wanted, unused) = str::from_utf8(&output.stdout).unwrap().trim_end().split_once('\n').unwrap();
            assert_eq!(wanted.split(' ').collect::<Vec<_>>(), recipe.wanted, "{name}");
            let unused = unused.split('|').map(|pattern| pattern.replace(".*", "*"));
            let unused: BTreeSet<String> = unused.chain(["libelogind0".to_owned()]).collect();
            let ours = debian.recipes.unused.iter().filter(|pattern| !recipe.used.contains(pattern)).cloned().collect();
            assert_eq!(unused, ours, "{name}");
        }
    }

    #[test]
    fn every_processor_has_every_root_filesystem() {
        let debian = Debian::read(&Lines::default()).unwrap();
        for name in debian.names() {
            for arch in [Arch::Amd64, Arch::Arm64] {
                let rootfs = debian.rootfs(name, arch).unwrap();
                for (package, pinned) in &rootfs.packages {
                    let url = debian.url(pinned);
                    let is_for = [format!("_{}.deb", arch.as_str()), "_all.deb".to_owned()].iter().any(|end| url.ends_with(end));
                    assert!(is_for && url.contains(&format!("/{package}_")) && pinned.digest.is_sha256(), "{url}");
                }
                assert!(rootfs.layout.commands.is_some_and(|commands| commands.names.contains(&"sh".to_owned())));
            }
        }
    }
}
