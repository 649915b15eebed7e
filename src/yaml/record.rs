//! Trees → records. A record is a struct whose fields fill themselves from nodes. What doesn't fit
//! is reported with its place, and reading continues.
//!
//! The fields also merge a stronger level's value into a weaker one's. One rule holds for
//! everything: **mappings merge key by key, lists are appended to, anything else is replaced.** A
//! key whose value is `~` removes the weaker level's entry; `!override` drops the weaker level's
//! list or mapping.

use super::tree::{Kind, Node, Tag};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, closest};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Deref;

/// The maximal number of items in a list.
const ITEMS: usize = 2000;

/// Collects the diagnostics of reading.
pub struct Reader<'d> {
    /// Collects the diagnostics.
    pub found: &'d mut Diagnostics,
    /// Whether every text is a template, tagged or not, as in a release line.
    pub templates: bool,
}

impl Reader<'_> {
    /// Whether `node` is a template although its value is needed before any node is rendered. Reports it.
    pub fn refuses_template(&mut self, node: &Node) -> bool {
        let is_template = node.tag == Tag::Template;
        if is_template {
            self.found.push(
                Diagnostic::new(Code::NoTemplate, node.span, "this can't be a template")
                    .why("remuda reads it for all nodes together, before it renders any: the template would be taken literally")
                    .help("remove `!template`; write what differs between nodes under `roles`, `groups` or `nodes`"),
            );
        }
        is_template
    }

    /// A key without a value, where a mapping or a list is expected.
    pub fn nothing(&mut self, node: &Node) {
        self.found.push(
            Diagnostic::new(Code::NoEffect, node.span, "this key has no value")
                .why("it changes nothing: the values of weaker levels stay")
                .help("remove the key, or write `!override {}` or `!override []` to drop the values of weaker levels"),
        );
    }

    /// Reports that `node` has another type than `expected`, which is worded like "a list".
    pub fn wrong_type(&mut self, node: &Node, expected: &str) {
        self.found.push(
            Diagnostic::new(Code::WrongType, node.span, format!("expected {expected}, found {}", node.what()))
                .why("the node drops its whole config because of one value of the wrong type"),
        );
    }
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spanned<T> {
    /// The value itself; a [`Spanned`] derefs to it.
    pub value: T,
    /// `None` if it isn't in a source: it is remuda's or the OS's own.
    pub span: Option<Span>,
}

impl<T> Spanned<T> {
    /// A value at `span`.
    pub fn at(span: Span, value: T) -> Self {
        Self { value, span: Some(span) }
    }

    /// A value without a place in a source.
    pub fn unwritten(value: T) -> Self {
        Self { value, span: None }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A value that is read from one node of the tree.
pub trait Scalar: Sized + Clone {
    /// What to write: "an IPv4 network, like 10.0.0.0/16".
    fn expected() -> Cow<'static, str>;

    /// The value, or what is wrong with it, which the default [`Scalar::read`] reports. A type that
    /// is read from more than a text has its own `read` and doesn't need this.
    fn parse(_: &str) -> Result<Self, String> {
        Err(format!("expected {}", Self::expected()))
    }

    /// Reads a node, which may be other than a scalar.
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Kind::Scalar { text, .. } = &node.kind else {
            reader.wrong_type(node, &Self::expected());
            return None;
        };
        if node.is_null() {
            reader.wrong_type(node, &Self::expected());
            return None;
        }
        if reader.refuses_template(node) {
            return None;
        }
        match Self::parse(text) {
            Ok(value) => Some(value),
            Err(problem) => {
                reader.found.push(
                    Diagnostic::new(Code::InvalidValue, node.span, problem)
                        .why("the node would refuse it or misread it")
                        .help(format!("write {}", Self::expected())),
                );
                None
            }
        }
    }
}

/// Something that a node of the tree can fill and that merges with a stronger level's value.
pub trait Field: Default + Clone {
    /// Fills itself from `node`. What doesn't fit is reported, and the rest is kept.
    fn fill(&mut self, node: &Node, reader: &mut Reader);
    /// Puts a stronger level's value on top of this one, by the rule in the module's first comment.
    fn merge(&mut self, stronger: &Self);

    /// Whether no source sets it, so that merging it changes nothing. An empty `!override` and an
    /// invalid value do change something.
    fn is_absent(&self) -> bool;

    /// Calls `see` with the place of every key and value in it that a source sets.
    fn places(&self, see: &mut dyn FnMut(Span));

    /// These places in their order, each once.
    fn written(&self) -> Vec<Span> {
        let mut all = Vec::new();
        self.places(&mut |span| all.push(span));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether it is a single value that was given but invalid.
    fn is_bad(&self) -> bool {
        false
    }
}

/// A single value. It may be absent, or invalid; an invalid one was reported, and what depends on
/// it isn't checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Given<T> {
    #[default]
    /// No source has the key.
    Absent,
    /// The key exists, but its value was reported as invalid.
    Bad,
    /// The value and its place.
    Is(Spanned<T>),
}

impl<T> Given<T> {
    /// The value with its place, if it exists and is valid.
    pub fn get(&self) -> Option<&Spanned<T>> {
        match self {
            Self::Is(value) => Some(value),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self) -> Option<&mut Spanned<T>> {
        match self {
            Self::Is(value) => Some(value),
            _ => None,
        }
    }

    /// The value without its place.
    pub fn value(&self) -> Option<&T> {
        self.get().map(|given| &given.value)
    }

    /// Its place, if it exists and is in a source.
    pub fn span(&self) -> Option<Span> {
        self.get().and_then(|given| given.span)
    }
}

impl<T: Scalar> Field for Given<T> {
    fn fill(&mut self, node: &Node, reader: &mut Reader) {
        *self = match T::read(node, reader) {
            Some(value) => Self::Is(Spanned::at(node.span, value)),
            None => Self::Bad,
        };
    }

    fn merge(&mut self, stronger: &Self) {
        if !stronger.is_absent() {
            *self = stronger.clone();
        }
    }

    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    fn places(&self, see: &mut dyn FnMut(Span)) {
        self.span().into_iter().for_each(see);
    }

    fn is_bad(&self) -> bool {
        matches!(self, Self::Bad)
    }
}

/// A list without duplicates: the OS's schema refuses a list of strings that has one.
#[derive(Debug, Clone)]
pub struct List<T> {
    /// In the order of the source, a weaker level's first.
    pub items: Vec<Spanned<T>>,
    /// Where the strongest level has it, even if without items; `None` if no source has it.
    pub span: Option<Span>,
    overrides: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { items: Vec::new(), span: None, overrides: false }
    }
}

impl<T> List<T> {
    /// The items with their places.
    pub fn iter(&self) -> std::slice::Iter<'_, Spanned<T>> {
        self.items.iter()
    }

    /// A list of these items, which have no place in a source.
    pub fn of(items: impl IntoIterator<Item = T>) -> Self {
        Self { items: items.into_iter().map(Spanned::unwritten).collect(), ..Self::default() }
    }

    /// Whether it has no items; a list that only drops the weaker one's items is also empty.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether it drops the values of weaker levels.
    pub fn overrides(&self) -> bool {
        self.overrides
    }

    /// The values without their places.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|item| &item.value)
    }
}

impl<T: Scalar + PartialEq> Field for List<T> {
    fn fill(&mut self, node: &Node, reader: &mut Reader) {
        self.overrides = node.tag == Tag::Override;
        let Kind::List(items) = &node.kind else {
            if !node.is_null() {
                reader.wrong_type(node, &format!("a list (each item {})", T::expected()));
            } else {
                reader.nothing(node);
            }
            return;
        };
        self.span = Some(node.span);
        if items.len() > ITEMS {
            reader.found.push(
                Diagnostic::new(Code::TooLarge, node.span, format!("this list has {} items; the limit is {ITEMS}", items.len()))
                    .why("the node's config would become too large to load"),
            );
            return;
        }
        for item in items {
            let Some(value) = T::read(item, reader) else { continue };
            match self.items.iter().find(|earlier| earlier.value == value) {
                Some(earlier) => reader.found.push(
                    Diagnostic::new(Code::DuplicateItem, item.span, "this item is in the list twice")
                        .related(earlier.span, "first here")
                        .why("the node's schema requires unique items in a list of strings and refuses the whole config")
                        .help("keep one of them"),
                ),
                None => self.items.push(Spanned::at(item.span, value)),
            }
        }
    }

    fn merge(&mut self, stronger: &Self) {
        if stronger.overrides {
            self.items.clear();
            self.overrides = true;
        }
        self.span = stronger.span.or(self.span);
        for item in &stronger.items {
            if !self.items.iter().any(|weaker| weaker.value == item.value) {
                self.items.push(item.clone());
            }
        }
    }

    fn is_absent(&self) -> bool {
        self.items.is_empty() && !self.overrides
    }

    fn places(&self, see: &mut dyn FnMut(Span)) {
        self.items.iter().filter_map(|item| item.span).for_each(see);
    }
}

/// A mapping with free keys, in the order of the source.
#[derive(Debug, Clone)]
pub struct Map<V> {
    entries: Vec<(Spanned<String>, Entry<V>)>,
    overrides: bool,
}

#[derive(Debug, Clone)]
enum Entry<V> {
    Is(V),
    /// `~`, and whether it removed something.
    Gone {
        hit: bool,
    },
}

impl<V> Entry<V> {
    fn value(&self) -> Option<&V> {
        match self {
            Self::Is(value) => Some(value),
            Self::Gone { .. } => None,
        }
    }

    fn value_mut(&mut self) -> Option<&mut V> {
        match self {
            Self::Is(value) => Some(value),
            Self::Gone { .. } => None,
        }
    }
}

impl<V> Default for Map<V> {
    fn default() -> Self {
        Self { entries: Vec::new(), overrides: false }
    }
}

impl<V> Map<V> {
    /// The entries that have a value, a weaker level's first.
    pub fn iter(&self) -> impl Iterator<Item = (&Spanned<String>, &V)> {
        self.entries.iter().filter_map(|(key, entry)| entry.value().map(|value| (key, value)))
    }

    /// The keys with the value `~`: a stronger level removes the weaker one's entry.
    pub fn removed(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.removals().map(|(key, _)| key)
    }

    /// The same keys, each with whether there was an entry to remove.
    pub fn removals(&self) -> impl Iterator<Item = (&Spanned<String>, bool)> {
        self.entries.iter().filter_map(|(key, entry)| match entry {
            Entry::Is(_) => None,
            Entry::Gone { hit } => Some((key, *hit)),
        })
    }

    /// Marks that `~` at `key` removed something that isn't an entry of this mapping.
    pub fn hit(&mut self, key: &str) {
        if let Some((_, Entry::Gone { hit })) = self.entries.iter_mut().find(|(name, _)| name.value == key) {
            *hit = true;
        }
    }

    /// The value at `key`; `None` if it doesn't exist or is `~`.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.iter().find(|(name, _)| name.value == key).map(|(_, value)| value)
    }

    /// Whether it has no entry at all, not even a `~`.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value at `key`, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.entries.iter_mut().find(|(name, _)| name.value == key).and_then(|(_, entry)| entry.value_mut())
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().filter_map(|(_, entry)| entry.value_mut())
    }

    /// Sets the value at `key`. An existing key keeps its place.
    pub fn insert(&mut self, key: Spanned<String>, value: V) {
        match self.entries.iter_mut().find(|(name, _)| name.value == key.value) {
            Some(entry) => entry.1 = Entry::Is(value),
            None => self.entries.push((key, Entry::Is(value))),
        }
    }

    /// Removes `key`, as if no level had it.
    pub fn remove(&mut self, key: &str) {
        self.entries.retain(|(name, _)| name.value != key);
    }

    /// Where each key of `other` is here.
    fn places_of(&self, other: &Self) -> Vec<Option<usize>> {
        let keys = other.entries.iter().map(|(key, _)| key.value.as_str());
        // To look through all for each of many keys takes the square of their number.
        if other.entries.len() < 16 {
            return keys.map(|key| self.entries.iter().position(|(name, _)| name.value == key)).collect();
        }
        let known: HashMap<&str, usize> = self.entries.iter().enumerate().map(|(place, (name, _))| (name.value.as_str(), place)).collect();
        keys.map(|key| known.get(key).copied()).collect()
    }

    /// Keeps the values for which `keep` returns true; `keep` may change them.
    pub fn retain(&mut self, mut keep: impl FnMut(&Spanned<String>, &mut V) -> bool) {
        self.entries.retain_mut(|(key, entry)| entry.value_mut().is_some_and(|value| keep(key, value)));
    }
}

impl<V: Field> Field for Map<V> {
    fn fill(&mut self, node: &Node, reader: &mut Reader) {
        self.overrides = node.tag == Tag::Override;
        let Kind::Mapping(entries) = &node.kind else {
            if !node.is_null() {
                reader.wrong_type(node, "a mapping");
            } else {
                reader.nothing(node);
            }
            return;
        };
        for entry in entries {
            let says = if entry.value.is_null() {
                Entry::Gone { hit: false }
            } else {
                let mut value = V::default();
                value.fill(&entry.value, reader);
                Entry::Is(value)
            };
            self.entries.push((Spanned::at(entry.key_span, entry.key.clone()), says));
        }
    }

    fn merge(&mut self, stronger: &Self) {
        if stronger.overrides {
            self.entries.clear();
            self.overrides = true;
        }
        for ((key, says), place) in stronger.entries.iter().zip(self.places_of(stronger)) {
            match (place.and_then(|place| self.entries.get_mut(place)), says) {
                (Some((_, Entry::Is(weaker))), Entry::Is(value)) => weaker.merge(value),
                (Some(own), Entry::Gone { hit }) => {
                    let hit = *hit || !matches!(own.1, Entry::Gone { hit: false });
                    *own = (key.clone(), Entry::Gone { hit });
                }
                (Some(own), _) => *own = (key.clone(), says.clone()),
                (None, _) => self.entries.push((key.clone(), says.clone())),
            }
        }
    }

    fn is_absent(&self) -> bool {
        self.entries.is_empty() && !self.overrides
    }

    fn places(&self, see: &mut dyn FnMut(Span)) {
        for (key, entry) in &self.entries {
            key.span.into_iter().for_each(&mut *see);
            entry.value().into_iter().for_each(|value| value.places(see));
        }
    }
}

/// A struct made by [`record!`].
pub trait Record: Default {
    /// Every key that it accepts, including those of records within it.
    fn keys() -> Vec<&'static str>;
    /// Help for keys that people may expect here: `(key, help)`.
    const HINTS: &'static [(&'static str, &'static str)] = &[];
    /// False if no key has this name.
    fn set(&mut self, key: &str, node: &Node, reader: &mut Reader) -> bool;

    /// Sets every entry of `node`. Unknown keys are reported, with the probable key.
    fn fill_record(&mut self, node: &Node, reader: &mut Reader) {
        let Kind::Mapping(entries) = &node.kind else {
            if !node.is_null() {
                reader.wrong_type(node, &format!("a mapping with the keys {}", Self::keys().join(", ")));
            } else {
                reader.nothing(node);
            }
            return;
        };
        for entry in entries {
            if !self.set(&entry.key, &entry.value, reader) {
                let keys = Self::keys();
                let hint = Self::HINTS.iter().find(|(key, _)| *key == entry.key);
                let help = match (hint, closest(&entry.key, keys.iter().copied())) {
                    (Some((_, hint)), _) => (*hint).to_owned(),
                    (None, Some(meant)) => format!("did you mean `{meant}`?"),
                    (None, None) => format!("the keys here are {}", keys.join(", ")),
                };
                reader.found.push(
                    Diagnostic::new(Code::UnknownKey, entry.key_span, format!("unknown key `{}`", entry.key))
                        .why("an unknown key would be silently ignored")
                        .help(help),
                );
            }
        }
    }
}

/// A field as the visitor of its record gets it.
pub trait View<'a, V> {
    /// `None` if it has no value to visit.
    fn view(&'a self) -> Option<V>;
}

/// Defines a struct whose fields are filled from a mapping, merged and visited one by one. Whatever
/// is done with every field is generated here, so that a new field can't be forgotten.
///
/// - `..name: Type` includes another record's keys.
/// - `hints: TABLE;` sets its [`Record::HINTS`].
/// - `visit: Value;` adds a method `visit`, which passes every field that is set as a `Value<'_>`,
///   by [`View`]. A record with another record's keys can't have it.
macro_rules! record {
    (@visit $name:ident, (), $($rest:tt)*) => {};
    (@visit $name:ident, ($value:ident), ($($field:ident)*), ()) => {
        impl $name {
            /// Calls `visit` with every key that is set, in the order of the definition.
            pub fn visit<'a>(&'a self, mut visit: impl FnMut(&'static str, $value<'a>)) {
                $( if let Some(value) = $crate::yaml::View::<'a, $value<'a>>::view(&self.$field) { visit(stringify!($field), value); } )*
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( hints: $hints:expr; )?
            $( visit: $value:ident; )?
            $( $(#[$field_meta:meta])* pub $field:ident : $type:ty, )*
            $( ..$flat:ident : $flat_type:ty, )?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        // A test's record is nobody else's.
        #[allow(unreachable_pub)]
        pub struct $name {
            /// Its place; `None` if it isn't in a source.
            #[schemars(skip)]
            pub span: Option<$crate::diagnostic::Span>,
            /// Whether it drops the values of weaker levels.
            #[schemars(skip)]
            pub overrides: bool,
            $( $(#[$field_meta])* #[schemars(default)] pub $field: $type, )*
            $(
                #[doc = "The keys of this type are its own."]
                #[schemars(flatten)]
                pub $flat: $flat_type,
            )?
        }

        impl $crate::yaml::Record for $name {
            $( const HINTS: &'static [(&'static str, &'static str)] = $hints; )?
            fn keys() -> Vec<&'static str> {
                #[allow(unused_mut)]
                let mut keys = vec![$( stringify!($field) ),*];
                $( keys.extend(<$flat_type as $crate::yaml::Record>::keys()); )?
                keys
            }

            fn set(&mut self, key: &str, node: &$crate::yaml::Node, reader: &mut $crate::yaml::Reader) -> bool {
                match key {
                    $( stringify!($field) => $crate::yaml::Field::fill(&mut self.$field, node, reader), )*
                    $( _ if self.$flat.set(key, node, reader) => {} )?
                    _ => return false,
                }
                true
            }
        }

        impl $crate::yaml::Field for $name {
            fn fill(&mut self, node: &$crate::yaml::Node, reader: &mut $crate::yaml::Reader) {
                self.span = Some(node.span);
                self.overrides = node.tag == $crate::yaml::Tag::Override;
                $( self.$flat.overrides = self.overrides; )?
                $crate::yaml::Record::fill_record(self, node, reader);
            }

            fn merge(&mut self, stronger: &Self) {
                if stronger.overrides {
                    *self = Self { overrides: true, ..Self::default() };
                }
                self.span = stronger.span.or(self.span);
                $( self.$field.merge(&stronger.$field); )*
                $( self.$flat.merge(&stronger.$flat); )?
            }

            fn is_absent(&self) -> bool {
                !self.overrides
                    $( && $crate::yaml::Field::is_absent(&self.$field) )*
                    $( && $crate::yaml::Field::is_absent(&self.$flat) )?
            }

            #[allow(unused_variables)]
            fn places(&self, see: &mut dyn FnMut($crate::diagnostic::Span)) {
                $( $crate::yaml::Field::places(&self.$field, see); )*
                $( $crate::yaml::Field::places(&self.$flat, see); )?
            }

            fn is_bad(&self) -> bool {
                false
                    $( || $crate::yaml::Field::is_bad(&self.$field) )*
                    $( || $crate::yaml::Field::is_bad(&self.$flat) )?
            }
        }

        $crate::yaml::record!(@visit $name, ($($value)?), ($($field)*), ($($flat)?));
    };
}
pub(crate) use record;

impl<T: JsonSchema> JsonSchema for Given<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("List_of_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        schemars::json_schema!({ "type": "array", "items": items, "uniqueItems": true })
    }
}

impl<V: JsonSchema> JsonSchema for Map<V> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Map_of_{}", V::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<V>();
        schemars::json_schema!({ "type": "object", "additionalProperties": { "anyOf": [values, { "type": "null" }] } })
    }
}
