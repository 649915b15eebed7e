//! The table of codes as it is read: one code at the terminal, all of them in docs/diagnostics.md.

use super::{AREAS, Area, Code, Severity};
use std::fmt::Write;

/// What `remuda explain CODE` prints.
pub fn page(code: Code) -> String {
    let explanation = code.explanation();
    let mut page = format!("{}[{}]\n{}\n", severity(code), code.name(), explanation.meaning);
    let _ = writeln!(page, "\nWhy: {}\n\nHelp: {}", explanation.why, explanation.help);
    if let Some(example) = code.example() {
        let _ = writeln!(page, "\nExample:\n");
        for line in example.lines() {
            let _ = writeln!(page, "    {line}");
        }
    }
    page
}

/// docs/diagnostics.md.
pub fn reference() -> String {
    let mut page = include_str!("reference.md").to_owned();
    for area in AREAS {
        let _ = writeln!(page, "\n## {}", area.title);
        for code in area.codes {
            page.push_str(&entry(*code, area));
        }
    }
    page
}

fn entry(code: Code, area: &Area) -> String {
    let (name, explanation) = (code.name(), code.explanation());
    let example = match code.example() {
        Some(_) => {
            let file = format!("../tests/diagnostics/{}/{name}", area.name);
            format!("\nExample: [a profile]({file}.yaml), and [the message]({file}.snap).\n")
        }
        None => String::new(),
    };
    let severity = severity(code);
    format!("\n### {name}\n\n**{severity}:** {}\n\n{}\n\n{}\n{example}", explanation.meaning, explanation.why, explanation.help)
}

fn severity(code: Code) -> &'static str {
    match code.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
