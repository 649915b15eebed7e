//! Every link within the docs leads somewhere, the site's table of contents has every page, and what pages tell a reader
//! to type can be typed.

mod common;

use clap::{Command, CommandFactory};
use common::{Project, ok, text};
use remuda::cli::Cli;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
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

/// The blocks of shell commands, without what indents them.
fn shell(text: &str) -> String {
    let mut lines = Vec::new();
    let mut indent = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") {
            indent = (indent.is_none() && trimmed == "```sh").then(|| line.len() - trimmed.len());
        } else if let Some(indent) = indent {
            lines.push(line.get(indent..).unwrap_or_default());
        }
    }
    lines.join("\n") + "\n"
}

/// The words of each `remuda …` in a script.
fn commands(script: &str) -> Vec<Vec<String>> {
    // What a shell does before.
    let script = script.replace("\\\n", " ").replace("$(date -I)", "2026-11-28");
    let parts = script.lines().flat_map(|line| line.split("&&"));
    let words = parts.filter_map(|part| {
        let mut words = shlex::split(part.trim()).unwrap_or_default();
        words.drain(..words.iter().take_while(|word| *word == "sudo").count());
        (words.first().is_some_and(|word| word == "remuda")).then_some(words)
    });
    // A redirection isn't the program's.
    words.map(|words| words.into_iter().take_while(|word| !word.starts_with(['>', '<', '&', '|'])).collect()).collect()
}

/// What the program says of the commands in `text` that it doesn't understand.
fn refused(text: &str) -> Vec<String> {
    let refused = |words| Cli::command().try_get_matches_from(words).err().map(|error| error.to_string());
    commands(&shell(text)).into_iter().filter_map(refused).collect()
}

#[test]
fn every_command_is_one_that_the_program_has() {
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        seen += commands(&shell(&text)).len();
        assert_eq!(refused(&text), Vec::<String>::new(), "{}", page.display());
    }
    assert!(seen > 80, "{seen}");
    let wrong = "```sh\nremuda gen --chek\nsudo remuda try x </dev/null   # y\n```\n1. a\n\n   ```sh\n   cd a && remuda gne\n   ```\n";
    assert_eq!(refused(wrong).len(), 2, "{:?}", refused(wrong));
}

#[test]
fn the_reference_of_commands_is_what_the_program_says() {
    let mut page = "<!-- Made from the command line's own help, src/cli/: change that. -->\n# Commands\n\n\
        `remuda help VERB` prints the same. [The profile](profile.md) is found the same way by every verb.\n"
        .to_owned();
    let mut command = Cli::command().term_width(110);
    command.build();
    describe(&mut command, &mut page);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md");
    if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
        fs::write(&path, &page).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), page, "INSTA_UPDATE=always cargo test rewrites it");
}

/// The help of each verb, and of those within it.
fn describe(command: &mut Command, page: &mut String) {
    let name = command.get_bin_name().unwrap_or("remuda").to_owned();
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end()).unwrap();
    for verb in command.get_subcommands_mut().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set()) {
        describe(verb, page);
    }
}

/// Programs that a tutorial's reader runs on machines that a test doesn't have.
const ELSEWHERE: [&str; 5] = ["dnsmasq", "kubectl", "python3", "sudo", "vagrant"];
/// What readers have. A vendor's ISO is made by `tests/bed/media` only, which also boots what `--from` makes of it: here
/// it's a config drive.
const OF_READERS: [(&str, &str); 4] = [
    ("cp vmlinuz initrd", "touch vmlinuz initrd; cp vmlinuz initrd"),
    (" --from burmillaos.iso", ""),
    (".boot.iso", ".iso"),
    ("/dev/sdX", "stick"),
];

#[test]
fn the_tutorials_commands_run() {
    let mut ran = 0;
    for page in pages().iter().filter(|page| page.file_name().unwrap().to_str().unwrap().starts_with("tutorial-")) {
        let checkout = Project::empty();
        let path = checkout.path();
        components(path);
        let script =
            OF_READERS.iter().fold(shell(&fs::read_to_string(page).unwrap()), |script, (theirs, here)| script.replace(theirs, here));
        let programs = path.join("bin");
        fs::create_dir(&programs).unwrap();
        for name in ELSEWHERE {
            let program = programs.join(name);
            fs::write(&program, "#!/bin/sh\n").unwrap();
            fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_remuda"), programs.join("remuda")).unwrap();
        let mut bash = std::process::Command::new("bash");
        bash.current_dir(path).args(["-e", "-u", "-x", "-c", &script]).env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
        for (name, value) in [("GIT_AUTHOR", "a"), ("GIT_COMMITTER", "a")] {
            bash.env(format!("{name}_NAME"), value).env(format!("{name}_EMAIL"), value);
        }
        let output = bash.env("HOME", path).env_remove("REMUDA_SEED_FILE").output().unwrap();
        assert!(output.status.success(), "{}: {}", page.display(), text(&output.stderr));
        ran += 1;
    }
    assert_eq!(ran, 3);
}

/// A folder with everything that the built-in cluster's images are made of: each program is a few bytes.
fn components(folder: &Path) {
    let listed = common::run(folder, &["image", "list", "--format", "json"]);
    let bundle: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    for image in bundle["images"].as_array().unwrap() {
        for source in image["sources"].as_array().unwrap() {
            let file = folder.join(source["source"].as_str().unwrap());
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let is_archive = file.extension().is_some_and(|extension| extension == "tar");
            fs::write(file, if is_archive { [0; 1024].to_vec() } else { b"program".to_vec() }).unwrap();
        }
    }
    ok(folder, &["image", "list"]);
}
