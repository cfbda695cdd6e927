//! Checks the descriptors of a peer before prost-reflect uses them.
//!
//! Each message, enum and service is checked by itself: its names, numbers, references and form. An invalid part and the parts that need
//! it are left out, with the reason. The rest can be used.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, HashSet, VecDeque, hash_map::Entry},
    fmt,
    rc::Rc,
    sync::LazyLock,
};

use prost_reflect::DescriptorPool;

use super::{
    descriptor::{self, Enumeration, Field, File, Message, Method, Range},
    features::{Features, Presence},
};

/// A file and its origin. The user's files take precedence over the plugin's.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) owner: Owner,
    pub(super) file: File,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A file that the user gave.
    User(String),
    Plugin,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(file) => f.write_str(file),
            Self::Plugin => f.write_str("the plugin"),
        }
    }
}

/// Why a part is left out.
pub(super) type Why = Rc<str>;

/// Google's files, which prost-reflect includes.
pub(super) struct Base {
    pub(super) pool: DescriptorPool,
    /// All names in these files.
    names: HashSet<String>,
}

/// Google's files.
pub(super) static BASE: LazyLock<Base> = LazyLock::new(Base::new);

/// The result of the checks.
pub(super) struct Checked<'a> {
    sources: &'a [Source],
    base: &'a Base,
    /// The limit of reflection that was reached, if files are missing because of it.
    cut: Option<&'a str>,
    /// All names. A name can be used only once.
    names: HashMap<String, Claim>,
    /// The files by name. Of several files with a name, the first.
    file_names: HashMap<&'a str, usize>,
    /// The missing imports of files. Filled on demand.
    missing_imports: RefCell<HashMap<usize, Option<Why>>>,
    /// The files that are left out, by index in `sources`.
    pub(super) left_out: BTreeMap<usize, Why>,
    /// Messages and enums. A parent comes before its children.
    pub(super) types: Vec<Type<'a>>,
    pub(super) extensions: Vec<Extension<'a>>,
    pub(super) services: Vec<Service<'a>>,
    service_names: HashMap<String, usize>,
}

/// A message or an enum.
pub(super) struct Type<'a> {
    pub(super) name: String,
    pub(super) file: usize,
    pub(super) parent: Option<usize>,
    pub(super) body: Body<'a>,
    pub(super) fault: Option<Fault>,
    /// The syntax of the file that must contain the type for prost-reflect.
    pub(super) syntax: Option<Syntax>,
    /// The type of each field that has a message or enum type.
    pub(super) targets: Vec<Option<Target>>,
    users: Vec<usize>,
}

#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    Message(&'a Message, Features),
    Enum(&'a Enumeration),
}

#[derive(Clone)]
pub(super) struct Fault {
    pub(super) why: Why,
    /// Whether the type itself is invalid, not a type that it uses.
    own: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Syntax {
    Proto2,
    Proto3,
}

/// The type that a name refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Type(usize),
    /// A type of Google's files, and whether it is an enum.
    Base(String, bool),
}

pub(super) struct Extension<'a> {
    pub(super) file: usize,
    /// The message that contains the extension.
    pub(super) parent: Option<usize>,
    pub(super) scope: String,
    pub(super) field: &'a Field,
    pub(super) features: Features,
    pub(super) extendee: Target,
    pub(super) target: Option<Target>,
}

pub(super) struct Service<'a> {
    pub(super) name: String,
    pub(super) file: usize,
    pub(super) service: &'a descriptor::Service,
    pub(super) fault: Option<Why>,
    /// The input and output types of each method, or why it cannot be called.
    pub(super) methods: Vec<Result<(Target, Target), Why>>,
}

enum Claim {
    Package,
    Type(usize),
    Other,
}

impl<'a> Checked<'a> {
    /// Checks files. The files of an owner are adjacent.
    pub(super) fn new(sources: &'a [Source], base: &'a Base, cut: Option<&'a str>) -> Self {
        let packages = ["google", "google.protobuf"].map(|package| (package.to_owned(), Claim::Package));
        let mut this = Self {
            sources,
            base,
            cut,
            names: HashMap::from(packages),
            file_names: HashMap::new(),
            missing_imports: RefCell::default(),
            left_out: BTreeMap::new(),
            types: Vec::new(),
            extensions: Vec::new(),
            services: Vec::new(),
            service_names: HashMap::new(),
        };
        let features: Vec<Option<Features>> = (0..sources.len()).map(|file| this.read_file(file)).collect();
        for (file, features) in features.iter().enumerate() {
            if let Some(features) = *features {
                this.collect(file, features);
            }
        }
        this.resolve();
        this.choose_syntaxes();
        this.hand_on_faults();
        this.collect_extensions(&features);
        for (file, features) in features.iter().enumerate() {
            if features.is_some() {
                this.collect_services(file);
            }
        }
        this
    }

    /// Whether a type can be used.
    pub(super) fn is_sound(&self, target: &Target) -> bool {
        match target {
            Target::Type(index) => self.types[*index].fault.is_none(),
            Target::Base(..) => true,
        }
    }

    /// Whether a type is the entry of a map.
    pub(super) fn is_map_entry(&self, target: &Target) -> bool {
        match target {
            Target::Type(index) => {
                matches!(self.types[*index].body, Body::Message(message, _) if message.is_map_entry())
            }
            Target::Base(..) => false,
        }
    }

    /// Whether a type is an enum.
    pub(super) fn is_enum(&self, target: &Target) -> bool {
        match target {
            Target::Type(index) => matches!(self.types[*index].body, Body::Enum(_)),
            Target::Base(_, is_enum) => *is_enum,
        }
    }

    /// Returns the fault of a file, or its features.
    fn read_file(&mut self, index: usize) -> Option<Features> {
        let sources = self.sources;
        let Source { owner, file } = &sources[index];
        let first = *self.file_names.entry(&file.name).or_insert(index);
        let fault = if first != index && self.sources[first].owner == *owner {
            Some(format!("{owner} has two files with this name"))
        } else if !is_package(&file.package) {
            Some(format!("the package {:?} is not a valid name", cut(&file.package)))
        } else if !self.claim_package(&file.package) {
            Some(format!("the package {} has the name of another element", file.package))
        } else {
            match Features::of(file) {
                Ok(features) => return Some(features),
                Err(why) => Some(why),
            }
        };
        self.left_out.extend(fault.map(|why| (index, why.into())));
        None
    }

    fn claim_package(&mut self, package: &str) -> bool {
        let ends = package.match_indices('.').map(|(end, _)| end).chain([package.len()]);
        ends.filter(|end| *end > 0).all(|end| {
            let part = &package[..end];
            let claim = self.names.entry(part.to_owned()).or_insert(Claim::Package);
            matches!(claim, Claim::Package) && !self.base.names.contains(part)
        })
    }

    /// Collects the types of a file.
    fn collect(&mut self, index: usize, features: Features) {
        let sources = self.sources;
        let file = &sources[index].file;
        for message in &file.message {
            self.message(message, &file.package, (index, None), features, None);
        }
        for enumeration in &file.enumeration {
            self.enumeration(enumeration, &file.package, (index, None), None);
        }
    }

    fn message(
        &mut self,
        message: &'a Message,
        scope: &str,
        (file, parent): (usize, Option<usize>),
        features: Features,
        inherited: Option<Why>,
    ) {
        let features = features.with(message.options.and_then(|options| options.features));
        let body = Body::Message(message, features);
        let Some(index) = self.claim_type(scope, &message.name, file, parent, body, inherited) else {
            return;
        };
        let name = self.types[index].name.clone();
        let mut twice = None;
        let parts = message.field.iter().map(|field| &field.name);
        for part in parts.chain(message.oneof.iter().map(|oneof| &oneof.name)) {
            if !self.claim(join(&name, part)) {
                twice = Some(part);
            }
        }
        let fault = match twice {
            Some(part) => Some(format!("has two parts named {:?}", cut(part))),
            None => fault_of(message, features).err(),
        };
        self.blame(index, fault.map(|fault| format!("the message {name} {fault}")));
        let broken = self.types[index].fault.as_ref().map(|fault| fault.why.clone());
        for nested in &message.nested {
            self.message(nested, &name, (file, Some(index)), features, broken.clone());
        }
        for enumeration in &message.enumeration {
            self.enumeration(enumeration, &name, (file, Some(index)), broken.clone());
        }
    }

    fn enumeration(
        &mut self,
        enumeration: &'a Enumeration,
        scope: &str,
        (file, parent): (usize, Option<usize>),
        inherited: Option<Why>,
    ) {
        let body = Body::Enum(enumeration);
        let Some(index) = self.claim_type(scope, &enumeration.name, file, parent, body, inherited) else {
            return;
        };
        let mut fault = None;
        for value in &enumeration.value {
            // The scope of a value is that of its enum.
            if !is_name(&value.name) || !self.claim(join(scope, &value.name)) {
                fault =
                    Some(format!("has the value {:?}, whose name is invalid or duplicate", cut(&value.name)));
            }
        }
        match enumeration.value.first() {
            None => fault = Some("has no values".to_owned()),
            Some(first) if first.number != 0 => self.types[index].syntax = Some(Syntax::Proto2),
            Some(_) => {}
        }
        let name = &self.types[index].name;
        let fault = fault.map(|fault| format!("the enum {name} {fault}"));
        self.blame(index, fault);
    }

    /// Adds a type. Returns `None` if it is known already.
    fn claim_type(
        &mut self,
        scope: &str,
        own: &str,
        file: usize,
        parent: Option<usize>,
        body: Body<'a>,
        inherited: Option<Why>,
    ) -> Option<usize> {
        let name = join(scope, own);
        if self.base_type(&name).is_some() {
            return None;
        }
        let index = self.types.len();
        let mut fault = inherited.map(|why| Fault { why, own: true });
        match self.names.get(&name) {
            Some(Claim::Type(other)) => {
                let other = *other;
                let known = &self.types[other];
                let here = &self.sources[file];
                if self.sources[known.file].owner < here.owner || known.body.is_same(body) {
                    return None;
                }
                let there = &self.sources[known.file].file.name;
                let why = format!("{name} has different descriptions in {there} and in {}", here.file.name);
                let fault = Fault { why: why.into(), own: true };
                self.blame_all_of(other, &fault);
                return None;
            }
            None if !self.base.names.contains(&name) => {
                self.names.insert(name.clone(), Claim::Type(index));
            }
            Some(Claim::Package | Claim::Other) | None => {
                let why = self.in_file(file, &format!("{name} has the name of another element"));
                fault = Some(Fault { why, own: true });
            }
        }
        let targets = match body {
            Body::Message(message, _) => vec![None; message.field.len()],
            Body::Enum(_) => Vec::new(),
        };
        self.types.push(Type { name, file, parent, body, fault, syntax: None, targets, users: Vec::new() });
        if !is_name(own) || self.types[index].name.len() > LONGEST_NAME {
            self.blame(index, Some(format!("the type {:?} has an invalid name", cut(own))));
        }
        Some(index)
    }

    fn claim(&mut self, name: String) -> bool {
        match self.names.entry(name) {
            Entry::Vacant(entry) if self.base.names.contains(entry.key()) => false,
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert(Claim::Other);
                true
            }
        }
    }

    /// Records the fault of a type, unless it has one already.
    fn blame(&mut self, index: usize, fault: Option<String>) {
        let Some(fault) = fault else { return };
        let why = self.in_file(self.types[index].file, &fault);
        self.types[index].fault.get_or_insert(Fault { why, own: true });
    }

    /// Records the fault of a type and of its children.
    fn blame_all_of(&mut self, index: usize, fault: &Fault) {
        self.types[index].fault.get_or_insert_with(|| fault.clone());
        // Children follow their parent.
        let inner = self.types[index + 1..].iter_mut();
        for inner in inner.take_while(|inner| inner.parent.is_some_and(|parent| parent >= index)) {
            inner.fault.get_or_insert_with(|| fault.clone());
        }
    }

    fn in_file(&self, file: usize, fault: &str) -> Why {
        format!("in {} {fault}", self.sources[file].file.name).into()
    }

    /// Resolves the types of all fields.
    fn resolve(&mut self) {
        for index in 0..self.types.len() {
            let Body::Message(message, _) = self.types[index].body else { continue };
            for (position, field) in message.field.iter().enumerate() {
                if field.type_name.is_empty() {
                    continue;
                }
                let (file, scope) = (self.types[index].file, self.types[index].name.clone());
                let Some(target) = self.lookup(&scope, &field.type_name) else {
                    let why = self.missing(file, &field.type_name);
                    self.types[index].fault.get_or_insert(Fault { why, own: false });
                    continue;
                };
                let fault = self.misuse(field, &target);
                self.blame(index, fault.map(|fault| format!("the message {scope} {fault}")));
                if let Target::Type(used) = target {
                    self.types[used].users.push(index);
                }
                self.types[index].targets[position] = Some(target);
            }
        }
    }

    /// Returns the fault of a field with this type.
    fn misuse(&self, field: &Field, target: &Target) -> Option<String> {
        let name = &field.name;
        let is_enum = self.is_enum(target);
        if (field.kind == ENUM && !is_enum) || (matches!(field.kind, GROUP | MESSAGE) && is_enum) {
            return Some(format!("has the field {name}, whose type has another kind"));
        }
        let single = field.label != REPEATED;
        (single && self.is_map_entry(target))
            .then(|| format!("has the field {name}, which is a single map entry"))
    }

    /// Resolves a name: absolute after a dot, otherwise relative to `scope`.
    fn lookup(&self, scope: &str, name: &str) -> Option<Target> {
        if let Some(whole) = name.strip_prefix('.') {
            return self.find(whole);
        }
        let mut scope = scope;
        loop {
            if let Some(found) = self.find(&join(scope, name)) {
                return Some(found);
            }
            if scope.is_empty() {
                return None;
            }
            scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
    }

    fn find(&self, name: &str) -> Option<Target> {
        match self.names.get(name) {
            Some(Claim::Type(index)) => Some(Target::Type(*index)),
            Some(Claim::Package | Claim::Other) => None,
            None => self.base_type(name),
        }
    }

    fn base_type(&self, name: &str) -> Option<Target> {
        if !self.base.names.contains(name) {
            return None;
        }
        if self.base.pool.get_message_by_name(name).is_some() {
            return Some(Target::Base(name.to_owned(), false));
        }
        self.base.pool.get_enum_by_name(name).map(|_| Target::Base(name.to_owned(), true))
    }

    /// Returns why a type is missing. A missing import is the reason if there is one.
    fn missing(&self, file: usize, name: &str) -> Why {
        let known = self.missing_imports.borrow().get(&file).cloned();
        let import = known.unwrap_or_else(|| {
            let found = self.missing_import(file);
            self.missing_imports.borrow_mut().insert(file, found.clone());
            found
        });
        import.unwrap_or_else(|| {
            let name = cut(name.trim_start_matches('.'));
            self.in_file(file, &format!("the type {name:?} is missing"))
        })
    }

    fn missing_import(&self, file: usize) -> Option<Why> {
        let (mut waiting, mut seen) = (VecDeque::from([file]), HashSet::from([file]));
        let mut left_out = None;
        while let Some(index) = waiting.pop_front() {
            let Source { owner, file } = &self.sources[index];
            for import in &file.dependency {
                if let Some(found) = self.file_names.get(import.as_str()) {
                    if let Some(why) = self.left_out.get(found) {
                        left_out.get_or_insert_with(|| format!("{import} is left out: {why}").into());
                    }
                    if seen.insert(*found) {
                        waiting.push_back(*found);
                    }
                } else if self.base.pool.get_file_by_name(import).is_none() {
                    return Some(match (owner, self.cut) {
                        (Owner::Plugin, Some(cut)) => cut.into(),
                        _ => format!("{owner} does not have {}, which {} imports", cut(import), file.name)
                            .into(),
                    });
                }
            }
        }
        left_out
    }

    /// Selects a syntax for each outermost type. Fields without presence need proto3. Enums whose first value is not 0 need proto2.
    fn choose_syntaxes(&mut self) {
        let mut outermost: Vec<usize> = Vec::with_capacity(self.types.len());
        let mut without_presence = HashSet::new();
        for index in 0..self.types.len() {
            let one = &self.types[index];
            let root = one.parent.map_or(index, |parent| outermost[parent]);
            outermost.push(root);
            let Body::Message(message, features) = one.body else { continue };
            if !message.is_map_entry() && self.has_implicit(message, features, &one.targets) {
                without_presence.insert(root);
            }
            if has_similar_names(message) {
                self.types[index].syntax = Some(Syntax::Proto2);
            }
        }
        let mut proto2 = HashSet::new();
        for (index, root) in outermost.iter().enumerate() {
            if self.types[index].syntax.is_none() {
                continue;
            }
            if without_presence.contains(root) {
                let name = &self.types[index].name;
                let fault = format!(
                    "{name} has names that differ only in case and underscores, or a first value other than 0, \
                     beside fields without presence; this program cannot describe both"
                );
                self.blame(index, Some(fault));
            } else {
                proto2.insert(*root);
            }
        }
        for (one, root) in self.types.iter_mut().zip(&outermost) {
            one.syntax = Some(if proto2.contains(root) { Syntax::Proto2 } else { Syntax::Proto3 });
        }
    }

    fn has_implicit(&self, message: &Message, features: Features, targets: &[Option<Target>]) -> bool {
        message.field.iter().zip(targets).any(|(field, target)| match target {
            Some(target) => self.is_enum(target) && is_implicit(field, features),
            None => field.type_name.is_empty() && is_implicit(field, features),
        })
    }

    /// Marks the types that use an invalid type as invalid, and the children of such types whose outer parent is valid: they have no
    /// place then.
    fn hand_on_faults(&mut self) {
        let mut waiting: VecDeque<usize> =
            (0..self.types.len()).filter(|index| self.types[*index].fault.is_some()).collect();
        while let Some(index) = waiting.pop_front() {
            let Some(Fault { why, .. }) = self.types[index].fault.clone() else { continue };
            let mut touched = std::mem::take(&mut self.types[index].users);
            if self.is_within_sound(index) {
                let after = self.types.iter().enumerate().skip(index + 1);
                let inner = after.take_while(|(_, one)| one.parent.is_some_and(|parent| parent >= index));
                touched.extend(inner.filter(|(_, one)| one.parent == Some(index)).map(|(inner, _)| inner));
            }
            for touched in touched {
                if self.types[touched].fault.is_none() {
                    self.types[touched].fault = Some(Fault { why: why.clone(), own: false });
                    waiting.push_back(touched);
                }
            }
        }
    }

    fn is_within_sound(&self, index: usize) -> bool {
        let around = std::iter::successors(self.types[index].parent, |around| self.types[*around].parent);
        around.into_iter().any(|around| self.types[around].fault.is_none())
    }

    /// Collects the valid extensions. Extensions of Google's options are not used in calls.
    fn collect_extensions(&mut self, features: &[Option<Features>]) {
        let sources = self.sources;
        let mut found: Vec<Extension<'a>> = Vec::new();
        for (index, features) in features.iter().enumerate() {
            let Some(features) = *features else { continue };
            let file = &sources[index].file;
            let own = file.extension.iter();
            found.extend(own.filter_map(|field| self.extension(field, &file.package, index, None, features)));
        }
        for (parent, one) in self.types.iter().enumerate() {
            let Body::Message(message, features) = one.body else { continue };
            let own = message.extension.iter();
            found.extend(
                own.filter_map(|field| self.extension(field, &one.name, one.file, Some(parent), features)),
            );
        }
        let mut counts: HashMap<usize, usize> = HashMap::new();
        for extension in found {
            let Target::Type(extendee) = extension.extendee else { continue };
            let count = counts.entry(extendee).or_default();
            if *count < MOST_RANGES && self.claim(join(&extension.scope, &extension.field.name)) {
                *count += 1;
                self.extensions.push(extension);
            }
        }
    }

    fn extension(
        &self,
        field: &'a Field,
        scope: &str,
        file: usize,
        parent: Option<usize>,
        features: Features,
    ) -> Option<Extension<'a>> {
        let extendee = self.lookup(scope, &field.extendee)?;
        let Target::Type(extended) = extendee else { return None };
        let Body::Message(message, _) = self.types[extended].body else { return None };
        let target = match field.type_name.as_str() {
            "" => None,
            name => Some(self.lookup(scope, name)?),
        };
        let placed = parent.is_none_or(|parent| match &self.types[parent].fault {
            None => true,
            Some(fault) => !fault.own && !self.is_within_sound(parent),
        });
        let sound = placed
            && self.is_sound(&extendee)
            && fault_of_field(field).is_ok()
            && join(scope, &field.name).len() <= LONGEST_NAME
            && field.oneof_index.is_none()
            && merged(&message.extension_range).iter().any(|range| contains(range, field.number))
            && target.as_ref().is_none_or(|target| {
                self.is_sound(target) && !self.is_map_entry(target) && self.misuse(field, target).is_none()
            });
        sound.then(|| Extension { file, parent, scope: scope.to_owned(), field, features, extendee, target })
    }

    /// Collects the services, and checks whether each method can be called.
    fn collect_services(&mut self, index: usize) {
        let sources = self.sources;
        let file = &sources[index].file;
        for service in &file.service {
            let name = join(&file.package, &service.name);
            let mut fault = None;
            if let Some(known) = self.service_names.get(&name) {
                let known = &mut self.services[*known];
                if sources[known.file].owner == sources[index].owner && known.service != service {
                    let (there, here) = (&sources[known.file].file.name, &file.name);
                    let why = format!("{name} has different descriptions in {there} and in {here}");
                    known.fault.get_or_insert_with(|| why.into());
                }
                continue;
            } else if !is_name(&service.name) || name.len() > LONGEST_NAME {
                fault = Some(format!("the service {:?} has an invalid name", cut(&service.name)));
            } else if !self.claim(name.clone()) {
                fault = Some(format!("the service {name} has the name of another element"));
            }
            let fault = fault.map(|fault| self.in_file(index, &fault));
            let methods = service.method.iter().map(|method| self.method(index, &name, method)).collect();
            self.service_names.insert(name.clone(), self.services.len());
            self.services.push(Service { name, file: index, service, fault, methods });
        }
    }

    fn method(&mut self, file: usize, service: &str, method: &Method) -> Result<(Target, Target), Why> {
        let own = join(service, &method.name);
        if !is_name(&method.name) || own.len() > LONGEST_NAME || !self.claim(own) {
            let name = cut(&method.name);
            let fault = format!("the method {name:?} of {service} has an invalid or duplicate name");
            return Err(self.in_file(file, &fault));
        }
        let input = self.method_type(file, service, &method.input)?;
        Ok((input, self.method_type(file, service, &method.output)?))
    }

    fn method_type(&self, file: usize, scope: &str, name: &str) -> Result<Target, Why> {
        let target = self.lookup(scope, name).ok_or_else(|| self.missing(file, name))?;
        if self.is_enum(&target) {
            return Err(self.in_file(file, &format!("the service {scope} takes or returns the enum {name}")));
        }
        match &target {
            Target::Type(index) => match &self.types[*index].fault {
                Some(fault) => Err(fault.why.clone()),
                None => Ok(target),
            },
            Target::Base(..) => Ok(target),
        }
    }
}

impl Body<'_> {
    fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Message(one, features), Self::Message(other, others)) => {
                one == other && features == others
            }
            (Self::Enum(one), Self::Enum(other)) => one == other,
            _ => false,
        }
    }
}

/// Checks a message by itself.
fn fault_of(message: &Message, features: Features) -> Result<(), String> {
    let options = message.options.unwrap_or_default();
    if options.message_set_wire_format {
        return Err("is a MessageSet, which is not supported".to_owned());
    }
    let ranges = merged(&message.extension_range);
    if ranges.len() > MOST_RANGES {
        return Err(format!("has more than {MOST_RANGES} extension ranges"));
    }
    let mut numbers = HashSet::with_capacity(message.field.len());
    for field in &message.field {
        let name = cut(&field.name);
        fault_of_field(field)?;
        if !numbers.insert(field.number) {
            return Err(format!("has two fields with the number {}", field.number));
        }
        if ranges.iter().any(|range| contains(range, field.number)) {
            return Err(format!("has the field {name}, whose number is reserved for extensions"));
        }
        if let Some(index) = field.oneof_index {
            let exists = usize::try_from(index).is_ok_and(|index| index < message.oneof.len());
            if !exists || !matches!(field.label, 0 | OPTIONAL) {
                return Err(format!("has the field {name}, which cannot be in its oneof"));
            }
        }
    }
    if let Some(oneof) = message.oneof.iter().find(|oneof| !is_name(&oneof.name)) {
        return Err(format!("has the oneof {:?}, whose name is invalid", cut(&oneof.name)));
    }
    match options.map_entry && !is_entry(message, features) {
        true => Err("is not a valid map entry".to_owned()),
        false => Ok(()),
    }
}

/// Checks a field by itself.
fn fault_of_field(field: &Field) -> Result<(), String> {
    let name = cut(&field.name);
    if !is_name(&field.name) {
        return Err(format!("has the field {name:?}, whose name is invalid"));
    }
    if !(1..=LAST_NUMBER).contains(&field.number) || (19_000..20_000).contains(&field.number) {
        return Err(format!("has the field {name} with the invalid number {}", field.number));
    }
    let has_type = !field.type_name.is_empty();
    let sound = match field.kind {
        0 | GROUP | MESSAGE | ENUM => has_type,
        1..=18 => !has_type,
        _ => false,
    };
    if !sound || !(0..=REPEATED).contains(&field.label) {
        return Err(format!("has the field {name}, whose type is unknown"));
    }
    Ok(())
}

/// Whether a message has the form of a map entry.
fn is_entry(message: &Message, features: Features) -> bool {
    let is_single = |field: &Field| {
        matches!(field.label, 0 | OPTIONAL)
            && field.oneof_index.is_none()
            && features.of_field(field).presence != Presence::Required
    };
    let [one, other] = message.field.as_slice() else { return false };
    let (key, value) = if one.number == 1 { (one, other) } else { (other, one) };
    let keyed = (key.number, key.name.as_str(), value.number, value.name.as_str()) == (1, "key", 2, "value");
    // All integers, bool, and string.
    let by_key = matches!(key.kind, 3..=9 | 13 | 15..=18);
    keyed && by_key && value.kind != GROUP && is_single(key) && is_single(value) && message.oneof.is_empty()
}

/// Whether a field has no presence, unless it is a message.
fn is_implicit(field: &Field, features: Features) -> bool {
    matches!(field.label, 0 | OPTIONAL)
        && field.oneof_index.is_none()
        && !matches!(field.kind, GROUP | MESSAGE)
        && features.of_field(field).presence == Presence::Implicit
}

/// Whether two fields have names that differ only in case and underscores.
fn has_similar_names(message: &Message) -> bool {
    let mut names = HashSet::with_capacity(message.field.len());
    message.field.iter().any(|field| !names.insert(field.name.replace('_', "").to_ascii_lowercase()))
}

/// Sorts and merges ranges, without the empty ones.
pub(super) fn merged(ranges: &[Range]) -> Vec<Range> {
    let mut sorted: Vec<Range> = ranges.to_vec();
    sorted.retain(|range| range.start >= 1 && range.start < range.end);
    sorted.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn contains(range: &Range, number: i32) -> bool {
    (range.start..range.end).contains(&number)
}

impl Base {
    fn new() -> Self {
        let pool = DescriptorPool::global();
        Self { names: names_of(&pool), pool }
    }
}

/// Returns all names in a pool.
fn names_of(pool: &DescriptorPool) -> HashSet<String> {
    let mut names = HashSet::new();
    for message in pool.all_messages() {
        names.extend(message.fields().map(|field| field.full_name().to_owned()));
        names.extend(message.oneofs().map(|oneof| oneof.full_name().to_owned()));
        names.insert(message.full_name().to_owned());
    }
    for one in pool.all_enums() {
        names.extend(one.values().map(|value| value.full_name().to_owned()));
        names.insert(one.full_name().to_owned());
    }
    names.extend(pool.all_extensions().map(|extension| extension.full_name().to_owned()));
    names
}

pub(super) fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// Whether this is a protobuf name: letters, digits and underscores.
fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    begins && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_package(package: &str) -> bool {
    package.is_empty()
        || package.len() <= LONGEST_NAME
            && package.split('.').count() <= DEEPEST_PACKAGE
            && package.split('.').all(is_name)
}

/// Shortens a name for an error text.
fn cut(name: &str) -> &str {
    name.char_indices().nth(60).map_or(name, |(end, _)| &name[..end])
}

/// The numbers in `google.protobuf.FieldDescriptorProto`.
const OPTIONAL: i32 = 1;
pub(super) const REQUIRED: i32 = 2;
pub(super) const REPEATED: i32 = 3;
pub(super) const GROUP: i32 = 10;
pub(super) const MESSAGE: i32 = 11;
pub(super) const ENUM: i32 = 14;

/// The largest field number.
const LAST_NUMBER: i32 = (1 << 29) - 1;

/// Limits far above real files, below the sizes that make prost-reflect slow.
const LONGEST_NAME: usize = 512;
const DEEPEST_PACKAGE: usize = 64;
const MOST_RANGES: usize = 1000;
