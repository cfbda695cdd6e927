//! Valid descriptors as a pool of prost-reflect.
//!
//! prost-reflect supports proto2 and proto3. The features of an edition are expressed with these. Parts that calls do not need (options,
//! reserved names, default values) are left out, so that they cannot cause errors.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
};

use prost_reflect::DescriptorPool;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueDescriptorProto, FieldDescriptorProto,
    FieldOptions, FileDescriptorProto, MessageOptions, MethodDescriptorProto, OneofDescriptorProto,
    ServiceDescriptorProto, descriptor_proto::ExtensionRange, field_descriptor_proto::Label,
};

use super::{
    check::{self, BASE, Body, Checked, Source, Syntax, Target},
    descriptor::{EnumValue, Enumeration, Field, Message, Method, Range},
    features::{Features, Presence},
};

/// The services and messages of files.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) pool: DescriptorPool,
    /// The services of the files, by name.
    pub(super) services: BTreeMap<String, ServiceState>,
    pub(super) left_out: Vec<LeftOut>,
}

/// The state of a service's description.
#[derive(Debug, Default)]
pub(super) struct ServiceState {
    /// Why no method can be called.
    pub(super) why: Option<String>,
    pub(super) methods: Vec<Undescribed>,
}

/// A file that cannot be used.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct LeftOut {
    pub(crate) file: String,
    pub(crate) why: String,
}

/// A method with an unknown type.
#[derive(Debug, Clone)]
pub(crate) struct Undescribed {
    pub(crate) name: String,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) client_streaming: bool,
    pub(crate) server_streaming: bool,
    pub(crate) why: String,
}

/// Checks files and builds a pool of the valid parts. `cut` is the limit of reflection that was reached.
pub(super) fn describe(sources: &[Source], cut: Option<&str>) -> Described {
    let base = &*BASE;
    let checked = Checked::new(sources, base, cut);
    let (pool, refused) = build(&base.pool, Units::of(&checked, &base.pool).all);
    let mut services: BTreeMap<String, ServiceState> = BTreeMap::new();
    for service in &checked.services {
        let why =
            service.fault.as_ref().map(ToString::to_string).or_else(|| refused.get(&service.file).cloned());
        let methods = service.service.method.iter().zip(&service.methods);
        let methods = methods.filter_map(|(method, types)| match (types, &why) {
            (_, Some(why)) => Some(undescribed(method, why)),
            (Err(why), None) => Some(undescribed(method, why)),
            (Ok(_), None) => None,
        });
        let methods = methods.collect();
        services.insert(service.name.clone(), ServiceState { why, methods });
    }
    let mut left_out = Vec::new();
    let faults = checked.left_out.iter().map(|(file, why)| (*file, why.to_string()));
    for (file, why) in faults.chain(refused) {
        let file = &sources[file].file;
        for service in &file.service {
            let why = format!("{} is left out: {why}", file.name);
            let methods = service.method.iter().map(|method| undescribed(method, &why)).collect();
            let state = || ServiceState { why: Some(why.clone()), methods };
            services.entry(check::join(&file.package, &service.name)).or_insert_with(state);
        }
        left_out.push(LeftOut { file: file.name.clone(), why });
    }
    Described { pool, services, left_out }
}

fn undescribed(method: &Method, why: &str) -> Undescribed {
    Undescribed {
        name: method.name.clone(),
        input: method.input.trim_start_matches('.').to_owned(),
        output: method.output.trim_start_matches('.').to_owned(),
        client_streaming: method.client_streaming,
        server_streaming: method.server_streaming,
        why: why.to_owned(),
    }
}

/// Files for prost-reflect, built from the valid parts of the peer's files.
struct Units<'a> {
    checked: &'a Checked<'a>,
    base: &'a DescriptorPool,
    all: Vec<Unit>,
    by_scope: HashMap<(usize, String, Syntax), usize>,
    /// The file of each type.
    of_type: Vec<Option<usize>>,
    /// The children of each message.
    within: Vec<Vec<usize>>,
    extensions_within: HashMap<usize, Vec<usize>>,
}

struct Unit {
    /// The peer's file with the parts.
    file: usize,
    proto: FileDescriptorProto,
    uses: BTreeSet<String>,
}

impl<'a> Units<'a> {
    fn of(checked: &'a Checked<'a>, base: &'a DescriptorPool) -> Self {
        let count = checked.types.len();
        let mut this = Self {
            checked,
            base,
            all: Vec::new(),
            by_scope: HashMap::new(),
            of_type: vec![None; count],
            within: vec![Vec::new(); count],
            extensions_within: HashMap::new(),
        };
        let outermost = this.place_types();
        let free = this.place_extensions();
        for (unit, index) in outermost {
            match checked.types[index].body {
                Body::Message(message, features) => {
                    let message = this.message(index, message, features, unit);
                    this.all[unit].proto.message_type.push(message);
                }
                Body::Enum(one) => this.all[unit].proto.enum_type.push(enumeration(one)),
            }
        }
        for (unit, index) in free {
            let extension = this.extension(index, unit);
            this.all[unit].proto.extension.push(extension);
        }
        this.services();
        for unit in &mut this.all {
            let Unit { proto, uses, .. } = unit;
            uses.remove(proto.name());
            proto.dependency = std::mem::take(uses).into_iter().collect();
        }
        this
    }

    /// Places each valid type in its parent message, or, if that is invalid, in a file whose package is its scope. Returns the
    /// outermost types.
    fn place_types(&mut self) -> Vec<(usize, usize)> {
        let mut outermost = Vec::new();
        for (index, one) in self.checked.types.iter().enumerate() {
            if one.fault.is_some() {
                continue;
            }
            let around = one.parent.and_then(|parent| Some((parent, self.of_type[parent]?)));
            let unit = match around {
                Some((parent, unit)) => {
                    self.within[parent].push(index);
                    unit
                }
                None => {
                    let scope = one.name.rsplit_once('.').map_or("", |(scope, _)| scope);
                    let unit = self.unit(one.file, scope, one.syntax.unwrap_or(Syntax::Proto3));
                    outermost.push((unit, index));
                    unit
                }
            };
            self.of_type[index] = Some(unit);
        }
        outermost
    }

    /// Places each valid extension in the same way.
    fn place_extensions(&mut self) -> Vec<(usize, usize)> {
        let mut outermost = Vec::new();
        for (index, one) in self.checked.extensions.iter().enumerate() {
            match one.parent.filter(|parent| self.of_type[*parent].is_some()) {
                Some(parent) => self.extensions_within.entry(parent).or_default().push(index),
                None => outermost.push((self.unit(one.file, &one.scope, Syntax::Proto3), index)),
            }
        }
        outermost
    }

    fn unit(&mut self, file: usize, scope: &str, syntax: Syntax) -> usize {
        let next = self.all.len();
        let index = *self.by_scope.entry((file, scope.to_owned(), syntax)).or_insert(next);
        if index == next {
            let proto = FileDescriptorProto {
                // Neither a peer's file nor Google's has this name.
                name: Some(format!("#{next}")),
                package: Some(scope.to_owned()).filter(|scope| !scope.is_empty()),
                syntax: (syntax == Syntax::Proto3).then(|| "proto3".to_owned()),
                ..Default::default()
            };
            self.all.push(Unit { file, proto, uses: BTreeSet::new() });
        }
        index
    }

    fn message(
        &mut self,
        index: usize,
        message: &Message,
        features: Features,
        unit: usize,
    ) -> DescriptorProto {
        let checked = self.checked;
        let mut made = DescriptorProto { name: Some(message.name.clone()), ..Default::default() };
        let entry = message.is_map_entry();
        let names = json_names(message);
        for ((field, target), json_name) in message.field.iter().zip(&checked.types[index].targets).zip(names)
        {
            let mut field = self.field(field, features, target.as_ref(), entry, unit);
            field.json_name = Some(json_name);
            made.field.push(field);
        }
        let oneofs = message.oneof.iter();
        made.oneof_decl =
            oneofs.map(|one| OneofDescriptorProto { name: Some(one.name.clone()), options: None }).collect();
        let range =
            |range: Range| ExtensionRange { start: Some(range.start), end: Some(range.end), options: None };
        made.extension_range = check::merged(&message.extension_range).into_iter().map(range).collect();
        made.options = entry.then(|| MessageOptions { map_entry: Some(true), ..Default::default() });
        for inner in std::mem::take(&mut self.within[index]) {
            match checked.types[inner].body {
                Body::Message(message, features) => {
                    let message = self.message(inner, message, features, unit);
                    made.nested_type.push(message);
                }
                Body::Enum(one) => made.enum_type.push(enumeration(one)),
            }
        }
        for extension in self.extensions_within.remove(&index).unwrap_or_default() {
            let extension = self.extension(extension, unit);
            made.extension.push(extension);
        }
        made
    }

    fn extension(&mut self, index: usize, unit: usize) -> FieldDescriptorProto {
        let one = &self.checked.extensions[index];
        let mut field = self.field(one.field, one.features, one.target.as_ref(), false, unit);
        field.proto3_optional = None;
        if field.label() == Label::Required {
            field.set_label(Label::Optional);
        }
        field.extendee = Some(self.name(&one.extendee, unit));
        field
    }

    /// Returns a field with its features expressed in proto3.
    fn field(
        &mut self,
        field: &Field,
        features: Features,
        target: Option<&Target>,
        in_map_entry: bool,
        unit: usize,
    ) -> FieldDescriptorProto {
        let own = features.of_field(field);
        let repeated = field.label == check::REPEATED;
        let label = match (repeated, own.presence, field.oneof_index) {
            (true, ..) => Label::Repeated,
            (false, Presence::Required, None) => Label::Required,
            (false, ..) if field.label == check::REQUIRED => Label::Required,
            (false, ..) => Label::Optional,
        };
        let kind = match target {
            None => field.kind,
            Some(target) if self.checked.is_enum(target) => check::ENUM,
            Some(target) => {
                let by_length = in_map_entry || self.checked.is_map_entry(target);
                let delimited = field.kind == check::GROUP || own.is_delimited();
                if delimited && !by_length { check::GROUP } else { check::MESSAGE }
            }
        };
        let explicit = own.presence != Presence::Implicit && !repeated && field.oneof_index.is_none();
        let packed = || FieldOptions { packed: Some(own.is_packed()), ..Default::default() };
        let scalar = !matches!(kind, check::GROUP | check::MESSAGE);
        FieldDescriptorProto {
            name: Some(field.name.clone()),
            number: Some(field.number),
            label: Some(label.into()),
            r#type: Some(kind),
            type_name: target.map(|target| self.name(target, unit)),
            oneof_index: field.oneof_index,
            proto3_optional: (explicit && scalar).then_some(true),
            options: (repeated && scalar).then(packed),
            ..Default::default()
        }
    }

    fn services(&mut self) {
        let checked = self.checked;
        for service in checked.services.iter().filter(|service| service.fault.is_none()) {
            let scope = service.name.rsplit_once('.').map_or("", |(scope, _)| scope);
            let unit = self.unit(service.file, scope, Syntax::Proto3);
            let mut methods = Vec::new();
            for (method, types) in service.service.method.iter().zip(&service.methods) {
                let Ok((input, output)) = types else { continue };
                methods.push(MethodDescriptorProto {
                    name: Some(method.name.clone()),
                    input_type: Some(self.name(input, unit)),
                    output_type: Some(self.name(output, unit)),
                    client_streaming: Some(method.client_streaming),
                    server_streaming: Some(method.server_streaming),
                    options: None,
                });
            }
            let name = Some(service.service.name.clone());
            self.all[unit].proto.service.push(ServiceDescriptorProto {
                name,
                method: methods,
                options: None,
            });
        }
    }

    /// Returns the full name of a type, and records that the unit needs its file.
    fn name(&mut self, target: &Target, unit: usize) -> String {
        match target {
            Target::Type(index) => {
                if let Some(other) = self.of_type[*index] {
                    let file = self.all[other].proto.name().to_owned();
                    self.all[unit].uses.insert(file);
                }
                format!(".{}", self.checked.types[*index].name)
            }
            Target::Base(name, _) => {
                let message = self.base.get_message_by_name(name).map(|one| one.parent_file());
                let file = message.or_else(|| Some(self.base.get_enum_by_name(name)?.parent_file()));
                self.all[unit].uses.extend(file.map(|file| file.name().to_owned()));
                format!(".{name}")
            }
        }
    }
}

fn enumeration(one: &Enumeration) -> EnumDescriptorProto {
    let value = |value: &EnumValue| EnumValueDescriptorProto {
        name: Some(value.name.clone()),
        number: Some(value.number),
        options: None,
    };
    let mut values: Vec<EnumValueDescriptorProto> = one.value.iter().map(value).collect();
    // The first value is the default. Sorting the others makes building the pool fast.
    if let Some((_, rest)) = values.split_first_mut() {
        rest.sort_by_key(|value| value.number);
    }
    let numbers: BTreeSet<i32> = one.value.iter().map(|value| value.number).collect();
    let aliases = numbers.len() < one.value.len();
    EnumDescriptorProto {
        name: Some(one.name.clone()),
        value: values,
        options: aliases.then(|| EnumOptions { allow_alias: Some(true), ..Default::default() }),
        ..Default::default()
    }
}

/// Returns the JSON names of a message's fields. Fields with equal JSON names use their own names.
fn json_names(message: &Message) -> Vec<String> {
    let name = |field: &Field| field.json_name.clone().unwrap_or_else(|| camel_case(&field.name));
    let mut names: Vec<String> = message.field.iter().map(name).collect();
    for _ in 0..3 {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for name in &names {
            *counts.entry(name).or_default() += 1;
        }
        let several = names.iter().map(|name| counts.get(name.as_str()).is_some_and(|count| *count > 1));
        let several: Vec<bool> = several.collect();
        if !several.contains(&true) {
            return names;
        }
        for (index, field) in message.field.iter().enumerate().filter(|(index, _)| several[*index]) {
            names[index].clone_from(&field.name);
        }
    }
    message.field.iter().map(|field| field.name.clone()).collect()
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// Adds all files to a pool. If prost-reflect rejects them unexpectedly, adds the files one by one. Returns the rejected files with the
/// reasons.
fn build(base: &DescriptorPool, units: Vec<Unit>) -> (DescriptorPool, BTreeMap<usize, String>) {
    let all = units.iter().map(|unit| unit.proto.clone()).collect();
    let mut refused = BTreeMap::new();
    if let Ok(pool) = add(base, all) {
        return (pool, refused);
    }
    let mut by_file: BTreeMap<usize, Vec<FileDescriptorProto>> = BTreeMap::new();
    for unit in units {
        by_file.entry(unit.file).or_default().push(unit.proto);
    }
    let mut pool = base.clone();
    // Twice, because a file may need a later file.
    for _ in 0..2 {
        refused.clear();
        by_file.retain(|file, protos| match add(&pool, protos.clone()) {
            Ok(grown) => {
                pool = grown;
                false
            }
            Err(why) => {
                refused.insert(*file, why);
                true
            }
        });
    }
    (pool, refused)
}

fn add(pool: &DescriptorPool, files: Vec<FileDescriptorProto>) -> Result<DescriptorPool, String> {
    let mut grown = pool.clone();
    // A failed copy is dropped.
    match catch_unwind(AssertUnwindSafe(|| grown.add_file_descriptor_protos(files))) {
        Ok(Ok(())) => Ok(grown),
        Ok(Err(error)) => Err(format!("cannot be used: {error}")),
        Err(_) => Err("cannot be used: prost-reflect panicked".to_owned()),
    }
}
