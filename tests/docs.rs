//! Every link within the docs leads somewhere, and the site's table of contents has every page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The Markdown files at the top and in `docs/`.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let in_folder = |folder: PathBuf| folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let pages = in_folder(root.to_owned()).chain(in_folder(root.join("docs")));
    let pages: Vec<PathBuf> = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    assert!(pages.len() > 20);
    pages
}

/// The lines that aren't in a block of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        is_code ^= line.trim_start().starts_with("```");
        !is_code && !line.trim_start().starts_with("```")
    })
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(text).filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c)).collect::<String>();
        kept.trim().replace(' ', "-")
    };
    headings
        .map(anchor)
        .map(|anchor| {
            let number = seen.entry(anchor.clone()).or_default();
            *number += 1;
            if *number == 1 { anchor } else { format!("{anchor}-{}", *number - 1) }
        })
        .collect()
}

/// The targets of a page's links and pictures.
fn links(text: &str) -> Vec<String> {
    // A link may go over two lines; what is in backticks isn't one.
    let text = prose(text).collect::<Vec<_>>().join("\n");
    let text: String = text.split('`').step_by(2).collect::<Vec<_>>().join("`");
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
}

/// What is wrong with the links of `text`, which is at `page`.
fn broken(page: &Path, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for link in links(text).into_iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
        let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
        let target = if path.is_empty() { page.to_owned() } else { page.parent().unwrap().join(path) };
        let is_there = match anchor {
            "" => target.exists(),
            anchor => fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor)),
        };
        if !is_there {
            broken.push(format!("{}: {link}", page.display()));
        }
    }
    broken
}

#[test]
fn every_link_leads_somewhere() {
    let broken: Vec<String> = pages().iter().flat_map(|page| broken(page, &fs::read_to_string(page).unwrap())).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SUMMARY.md");
    let text = "[a](absent.md) [b](images.md#absent) [c](images.md#the-lock) `[d](absent)` [e](https://absent)\n```\n[f](absent)\n```\n";
    assert_eq!(broken(&page, text).len(), 2, "{:?}", broken(&page, text));
}

#[test]
fn the_table_of_contents_has_every_page() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let listed: BTreeSet<String> = links(&fs::read_to_string(docs.join("SUMMARY.md")).unwrap()).into_iter().collect();
    let pages = pages().into_iter().filter(|page| page.parent() == Some(&docs));
    let pages: BTreeSet<String> = pages.map(|page| page.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(listed, pages.into_iter().filter(|page| page != "SUMMARY.md").collect());
}
