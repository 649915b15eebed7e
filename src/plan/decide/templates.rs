//! Compiles every text of a class that is a template, once.

use crate::diagnostic::{Diagnostics, Span};
use crate::line::{Line, Templates};
use crate::plan::cluster::{Class, Content, PlannedFile};
use crate::service::Text;

/// Compiles every text of a class that is a template, once.
pub(crate) fn compile(classes: &[Class], line: &mut Line, found: &mut Diagnostics) {
    let mut templates = std::mem::take(&mut line.templates);
    for text in line.docker.iter().flat_map(|docker| [&docker.bip].into_iter().chain(&docker.extra_args)) {
        templates.add(text, None, found);
    }
    for class in classes {
        for planned in &class.services {
            planned.service.for_each_text(|text, span| compile_one(text, span, &mut templates, found));
        }
        let engine = &class.engine;
        let named = class.sysctl.iter().chain(&class.environment).chain(&engine.log_opts).map(|(_, text)| text);
        let listed = class.modules.iter().chain(&engine.extra_args).chain(&engine.storage_driver).chain(&engine.log_driver);
        for text in named.chain(listed) {
            compile_one(&text.value, text.span, &mut templates, found);
        }
        class.os.for_each_text(|text, span| compile_one(text, span, &mut templates, found));
        compile_files(&class.files, &mut templates, found);
    }
    line.templates = templates;
}

fn compile_one(text: &Text, span: Option<Span>, templates: &mut Templates, found: &mut Diagnostics) {
    if text.template {
        templates.add(&text.text, span, found);
    }
}

/// Compiles the text if it is a template.
fn compile_files(files: &[PlannedFile], templates: &mut Templates, found: &mut Diagnostics) {
    for file in files {
        if let Content::Text { text, template: true, span } = &file.content {
            templates.add(text, *span, found);
        }
        if let Some(owner) = file.owner.as_ref().filter(|owner| owner.template) {
            templates.add(&owner.text, owner.span, found);
        }
    }
}
