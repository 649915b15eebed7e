//! A value whose type only a later phase knows.

use super::record::{Field, Map, Reader, Spanned};
use super::tree::{Entry, Kind, Node, Tag};
use crate::diagnostic::Span;

/// Any value, as written. It merges by the rule of all fields; what knows its type reads [`Any::node`].
#[derive(Debug, Clone, Default)]
pub enum Any {
    /// No source has it.
    #[default]
    Absent,
    /// A single value.
    One(Node),
    /// A list.
    List {
        /// In the order of the source, a weaker level's first.
        items: Vec<Node>,
        /// The place of the strongest level's.
        span: Span,
        /// Whether it drops the items of weaker levels.
        overrides: bool,
    },
    /// A mapping.
    Map {
        /// By key.
        entries: Map<Any>,
        /// The place of the strongest level's.
        span: Span,
    },
}

impl Any {
    /// The value with all levels in it, as if one source had it; entries that a level removes are gone.
    pub fn node(&self) -> Option<Node> {
        let (kind, span) = match self {
            Self::Absent => return None,
            Self::One(node) => return Some(node.clone()),
            Self::List { items, span, .. } => (Kind::List(items.clone()), *span),
            Self::Map { entries, span } => {
                let entry = |(key, value): (&Spanned<String>, &Any)| {
                    Some(Entry { key: key.value.clone(), key_span: key.span.unwrap_or(*span), value: value.node()? })
                };
                (Kind::Mapping(entries.iter().filter_map(entry).collect()), *span)
            }
        };
        Some(Node { kind, span, tag: Tag::None })
    }

    /// Every key with the value `~`, at any depth, and whether it removed something.
    pub fn removals(&self) -> Vec<(&Spanned<String>, bool)> {
        let Self::Map { entries, .. } = self else { return Vec::new() };
        let inner = entries.iter().flat_map(|(_, value)| value.removals());
        entries.removals().chain(inner).collect()
    }
}

impl Field for Any {
    fn fill(&mut self, node: &Node, reader: &mut Reader) {
        *self = match &node.kind {
            Kind::Scalar { .. } => Self::One(node.clone()),
            Kind::List(items) => Self::List { items: items.clone(), span: node.span, overrides: node.tag == Tag::Override },
            Kind::Mapping(_) => {
                let mut entries = Map::default();
                entries.fill(node, reader);
                Self::Map { entries, span: node.span }
            }
        };
    }

    fn merge(&mut self, stronger: &Self) {
        match (&mut *self, stronger) {
            (_, Self::Absent) => {}
            (Self::Map { entries, span }, Self::Map { entries: more, span: place }) => {
                entries.merge(more);
                *span = *place;
            }
            (Self::List { items, span, .. }, Self::List { items: more, span: place, overrides: false }) => {
                let new: Vec<Node> = more.iter().filter(|item| !items.iter().any(|weaker| is_same(weaker, item))).cloned().collect();
                items.extend(new);
                *span = *place;
            }
            _ => *self = stronger.clone(),
        }
    }

    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    fn places(&self, see: &mut dyn FnMut(Span)) {
        match self {
            Self::Absent => {}
            Self::One(node) => see(node.span),
            Self::List { items, .. } => items.iter().for_each(|item| see(item.span)),
            Self::Map { entries, .. } => entries.places(see),
        }
    }
}

/// Whether two values are the same, wherever they are written.
fn is_same(one: &Node, other: &Node) -> bool {
    match (&one.kind, &other.kind) {
        (Kind::Scalar { text, .. }, Kind::Scalar { text: same, .. }) => text == same && one.tag == other.tag,
        (Kind::List(items), Kind::List(others)) => items.len() == others.len() && items.iter().zip(others).all(|(a, b)| is_same(a, b)),
        _ => false,
    }
}
