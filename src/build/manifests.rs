//! Reads the manifests that a profile names.

use crate::diagnostic::Sources;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span};
use crate::manifest::{self, Object};
use crate::profile::Profile;
use camino::{Utf8Path, Utf8PathBuf};
use std::io::{ErrorKind, Read};

/// The maximal number of files.
const FILES: usize = 1000;
/// The maximal size of a file, in bytes.
const LARGEST: u64 = 1 << 20;
/// The endings of files with manifests.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The objects in the files that the profile names, in the order of their paths.
pub(super) fn read(profile: &Profile, folder: &Utf8Path, sources: &mut Sources, found: &mut Diagnostics) -> Vec<Object> {
    let mut files: Vec<(Utf8PathBuf, Option<Span>)> = Vec::new();
    for given in profile.manifests.files.iter() {
        match files_of(&folder.join(&given.0)) {
            Ok(more) => files.extend(more.into_iter().map(|file| (file, given.span))),
            Err(problem) => found.push(no_file(given.span, problem)),
        }
    }
    if files.len() > FILES {
        let says = format!("`manifests.files` has {} files; the limit is {FILES}", files.len());
        found.push(
            Diagnostic::new(Code::TooLarge, profile.manifests.span, says).why("every control-plane node has all of them in its config"),
        );
        return Vec::new();
    }
    let mut objects = Vec::new();
    for (path, span) in files {
        match text_of(&path) {
            Ok(text) => {
                let source = sources.add(path, text, true);
                objects.extend(manifest::read(&sources.get(source).text, source, found));
            }
            Err(problem) => found.push(no_file(span, problem)),
        }
    }
    objects
}

fn no_file(span: Option<Span>, problem: String) -> Diagnostic {
    Diagnostic::new(Code::NoManifestFile, span, problem)
        .why("the cluster would lack what is in it")
        .help("write the path of a file, or of a folder with .yaml, .yml or .json files, relative to the profile's folder")
}

/// The path itself, or the files with manifests in the folder.
fn files_of(path: &Utf8Path) -> Result<Vec<Utf8PathBuf>, String> {
    if !path.exists() {
        return Err(format!("{path} doesn't exist"));
    }
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir_utf8().map_err(|error| format!("{path} can't be read: {error}"))? {
        let file = entry.map_err(|error| format!("{path} can't be read: {error}"))?.into_path();
        if file.file_name().is_some_and(|name| name.starts_with("kustomization.")) {
            return Err(format!("{path} is a kustomization: name the file that `kubectl kustomize {path}` prints"));
        }
        if file.extension().is_some_and(|ending| ENDINGS.contains(&ending)) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() { Err(format!("{path} has no .yaml, .yml or .json file")) } else { Ok(files) }
}

fn text_of(path: &Utf8Path) -> Result<String, String> {
    let mut text = String::new();
    let file = fs_err::File::open(path).map_err(|error| error.to_string())?;
    // A pipe or a device would never end.
    if !file.metadata().is_ok_and(|it| it.is_file()) {
        return Err(format!("{path} is no file"));
    }
    match file.take(LARGEST + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > LARGEST => Err(format!("{path} has more than 1 MiB")),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(format!("{path} isn't UTF-8 text")),
        Err(error) => Err(format!("{path} can't be read: {error}")),
    }
}
