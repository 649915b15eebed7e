//! `remuda report`: the page is HTML that needs nothing else, and it says what is so.

mod common;

use common::{Project, git, ok, remuda, run, text};
use html5gum::{Token, Tokenizer};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PROFILE: &str = "\
cluster: shown
target: burmillaos-2.0
line: kubernetes-1.37
network: {nodes: 10.0.0.0/16, pods: 10.64.0.0/12, gateway: 10.0.0.1}
defaults: {ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y a@b]}
pki: {not_before: 2026-01-01, lifetime: 10y, users: {alice: {groups: [a], not_before: 2027-01-01, lifetime: 30d}}}
images:
  components:
    pause: {files: !override {/pause: small}}
nodes:
  m: {role: control-plane, address: 10.0.0.2}
  w-[1-2]: {role: worker, address: 10.0.0.3}
";

fn report(folder: &Path, more: &[&str]) -> String {
    text(&ok(folder, &[&["report", "p.yaml"], more].concat()).stdout)
}

/// The page's text, a line for each element that is one; panics if it isn't HTML, or asks for anything else.
fn read(page: &str) -> String {
    const EMPTY: [&str; 2] = ["br", "meta"];
    const WITHIN: [&str; 7] = ["code", "strong", "small", "span", "b", "i", "a"];
    let (mut open, mut said) = (Vec::new(), String::new());
    let (mut ids, mut links) = (BTreeSet::new(), BTreeSet::new());
    for token in Tokenizer::new(page) {
        match token.unwrap() {
            Token::StartTag(tag) => {
                let name = text(&tag.name);
                assert!(!["script", "link", "img", "iframe", "object", "base", "form"].contains(&name.as_str()), "{name}");
                for (key, value) in &tag.attributes {
                    let (key, value) = (text(key), text(value));
                    match key.as_str() {
                        "id" => assert!(ids.insert(value.clone()), "{value} is there twice"),
                        "href" => drop(links.insert(value.strip_prefix('#').unwrap_or_else(|| panic!("{value}")).to_owned())),
                        "style" => assert!(is_place(&value), "{value}"),
                        "class" | "data-is" | "lang" | "name" | "content" | "charset" | "http-equiv" => {}
                        _ => panic!("<{name} {key}=…>"),
                    }
                }
                if !WITHIN.contains(&name.as_str()) {
                    said.push('\n');
                }
                if !EMPTY.contains(&name.as_str()) {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => assert_eq!(open.pop(), Some(text(&tag.name))),
            Token::String(words) if open.last().is_some_and(|last| last != "style") => said.push_str(&text(&words)),
            Token::String(words) => assert!(fetches_nothing(&text(&words))),
            Token::Error(error) => panic!("{error:?}"),
            Token::Comment(_) | Token::Doctype(_) => {}
        }
    }
    assert_eq!(open, [""; 0]);
    assert!(links.is_subset(&ids), "{links:?} {ids:?}");
    let lines = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_no_page_or_asks_for_more_is_found() {
    read("<p id=\"a\"><a href=\"#a\">x</a></p>");
    for bad in [
        "<p>",
        "<p></b></p>",
        "<p>&nothing;</p>",
        "<p><script></script></p>",
        "<p onclick=\"x\"></p>",
        "<a href=\"http://x\"></a>",
        "<a href=\"#b\"></a>",
        "<img src=\"x\">",
        "<p style=\"background: url(x)\"></p>",
        "<style>@import 'x';</style>",
    ] {
        assert!(std::panic::catch_unwind(|| read(bad)).is_err(), "{bad}");
    }
}

/// `left: 1.00%; width: 2.00%`
fn is_place(style: &str) -> bool {
    style.split("; ").all(|one| {
        let (key, value) = one.split_once(": ").unwrap();
        ["left", "width"].contains(&key)
            && value.strip_suffix('%').is_some_and(|share| (0.0..=100.0).contains(&share.parse::<f64>().unwrap()))
    })
}

/// Whether a style sheet needs nothing else.
fn fetches_nothing(text: &str) -> bool {
    !text.contains("url(") && !text.contains("@import") && !text.contains("@font-face")
}

fn shown() -> Project {
    let folder = Project::new(PROFILE);
    fs::write(folder.path().join("small"), [b'x'; 1_500_000]).unwrap();
    folder
}

#[test]
fn the_page_says_what_the_cluster_is() {
    let folder = shown();
    insta::assert_snapshot!(read(&report(folder.path(), &["--today", "2027-01-15"])));
}

#[test]
fn it_is_the_same_with_and_without_the_seed_and_in_every_time_zone() {
    let folder = shown();
    let without = report(folder.path(), &[]);
    fs::write(folder.path().join("remuda.seed"), common::SEED).unwrap();
    let output =
        remuda(folder.path()).args(["report", "p.yaml"]).env("TZ", "Pacific/Auckland").env("LC_ALL", "tr_TR.UTF-8").output().unwrap();
    assert_eq!(text(&output.stdout), without);
    assert!(!without.contains("red line"), "no clock reaches it");
}

/// What a profile can make hostile: the name of a file of manifests, the out folder, and a value that changes.
#[test]
fn nothing_hostile_gets_in_unescaped() {
    let folder = shown();
    let path = folder.path();
    let file = "a<b>&\"'x.yaml";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'quay.io/a/b:1'}]}\n";
    fs::write(path.join(file), pod).unwrap();
    let with = |value: &str| {
        let more = format!("manifests:\n  files: ['a<b>&\"''x.yaml']\nroles: {{worker: {{environment: {{A: '{value}'}}}}}}\n");
        fs::write(path.join("p.yaml"), format!("{PROFILE}{more}")).unwrap();
    };
    with("1");
    let out = "o<i>&\"'";
    let before = report(path, &["-o", out]);
    let said = read(&before);
    assert!(said.contains(file), "{said}");
    assert!(said.contains(&format!("{out}/shown isn't committed")), "{said}");
    git(path, &["init", "-q"]);
    ok(path, &["gen", "p.yaml", "--no-images", "-o", out]);
    git(path, &["add", "-A"]);
    git(path, &["commit", "-qm", "a"]);
    with("</pre><script>alert(1)</script>");
    let after = report(path, &["-o", out]);
    assert!(read(&after).contains("</pre><script>alert(1)</script>"));
    for raw in ["<script", "<b>&", "<i>&"] {
        assert!(!before.contains(raw) && !after.contains(raw), "{raw}");
    }
}

#[test]
fn it_has_what_plan_says_and_what_plan_refuses() {
    let folder = shown();
    let path = folder.path();
    ok(path, &["gen", "p.yaml", "--no-images"]);
    assert!(read(&report(path, &[])).contains("out/shown isn't committed in git"));
    git(path, &["init", "-q"]);
    git(path, &["add", "-A"]);
    git(path, &["commit", "-qm", "a"]);
    assert!(read(&report(path, &[])).contains("shown: nothing to do"));
    fs::write(path.join("p.yaml"), PROFILE.replace("w-[1-2]", "w-[1-3]")).unwrap();
    let plan = text(&ok(path, &["plan", "p.yaml"]).stdout);
    let line = plan.lines().next().unwrap();
    assert!(line.contains("1 node comes") && read(&report(path, &[])).contains(line), "{plan}");
    fs::write(path.join("p.yaml"), PROFILE.replace("line: kubernetes-1.37", "line: kubernetes-1.35")).unwrap();
    let refused = run(path, &["plan", "p.yaml"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = read(&report(path, &[]));
    let code = text(&refused.stderr).split(['[', ']']).nth(1).unwrap().to_owned();
    assert!(said.contains("remuda plan refuses this change:") && said.contains(&format!("error[{code}]")), "{said}");
}

/// A thousand nodes in a row, and a thousand that are each a declaration of its own.
#[test]
fn it_stays_short_with_many_nodes() {
    let folder = shown();
    let path = folder.path();
    let row = PROFILE.replace("w-[1-2]", "w-[0001-1000]");
    fs::write(path.join("p.yaml"), &row).unwrap();
    let page = report(path, &[]);
    let said = read(&page);
    assert!(said.contains("w-0001 – w-1000 1000 nodes\n10.0.0.3 – 10.0.3.234\n"), "{said}");
    assert!(page.len() < 40_000, "{}", page.len());
    let single: String =
        (0..1000).map(|number| format!("  x-{number}: {{role: worker, address: 10.0.{}.{}}}\n", 10 + number % 200, number / 200)).collect();
    fs::write(path.join("p.yaml"), format!("{PROFILE}{single}")).unwrap();
    let page = report(path, &[]);
    assert!(read(&page).contains("and 941 more, which are in the out tree's README.md"), "{}", read(&page));
    assert!(page.len() < 60_000, "{}", page.len());
}

#[test]
fn a_day_that_is_none_is_refused() {
    let folder = shown();
    let refused = run(folder.path(), &["report", "p.yaml", "--today", "2026-02-30"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
}
