//! Values that pass through Terraform and the provider.

use std::fs;

use serde_json::json;

use super::workdir::{Outcome, Workdir, id, same};

/// The data sources that compute values.
pub(crate) fn data_sources(place: &Workdir) -> Outcome {
    place.configure(
        r#"
data "demo_echo" "e" {
  text = "straße äöü 🦀"
}
data "demo_describe" "d" {
  value = { a = 1, b = ["x", true], c = null }
}
data "demo_describe" "text" {
  value = "x"
}
output "upper" {
  value = data.demo_echo.e.upper
}
output "length" {
  value = data.demo_echo.e.length
}
output "object" {
  value = data.demo_describe.d.type_json
}
output "text" {
  value = data.demo_describe.text.type_json
}
"#,
    )?;
    place.succeeds("apply -auto-approve")?;
    same("upper case", place.output("upper")?, "STRASSE ÄÖÜ 🦀")?;
    same("length", place.output("length")?, 12)?;
    let object = r#"["object",{"a":"number","b":["tuple",["string","bool"]],"c":"dynamic"}]"#;
    same("type of an object", place.output("object")?, object)?;
    same("type of a text", place.output("text")?, "\"string\"")
}

/// Functions are called in processes that are not configured.
pub(crate) fn functions(place: &Workdir) -> Outcome {
    place.configure(
        r#"
output "join" {
  value = provider::demo::join("-", "a", "b", "c")
}
output "nothing" {
  value = provider::demo::join("-")
}
output "add" {
  value = provider::demo::add(0.1, 0.2)
}
output "large" {
  value = tostring(provider::demo::add(12345678901234567890123, -1))
}
"#,
    )?;
    let log = place.succeeds("apply -auto-approve")?.log;
    same("join", place.output("join")?, "a-b-c")?;
    same("join of nothing", place.output("nothing")?, "")?;
    same("add", place.output("add")?, json!(0.3))?;
    same("add of large numbers", place.output("large")?, "12345678901234567890122")?;
    same("calls", log.calls().iter().filter(|call| call.starts_with("Configure")).count(), 0)
}

/// An ephemeral resource is opened and closed once in each walk that needs it.
pub(crate) fn ephemeral(place: &Workdir) -> Outcome {
    place.configure(
        r#"
provider "demo" {
  alias = "tokens"
}
ephemeral "demo_token" "t" {
  provider = demo.tokens
  label    = "door"
}
provider "demo" {
  prefix = ephemeral.demo_token.t.value
}
resource "demo_thing" "a" {
  name = "one"
}
"#,
    )?;
    let log = place.succeeds("apply -auto-approve")?.log;
    same("greeting", &place.thing(id("one"))?["greeting"], "token-door, one!")?;
    let marks = |name: &str| fs::read(place.path(&format!("store/{name}"))).map(|marks| marks.len());
    let opened = log.calls().iter().filter(|call| **call == "OpenEphemeralResource").count();
    same("how often it was opened", opened, 2)?;
    same("marks of opening", marks("opened-door")?, opened)?;
    same("marks of closing", marks("closed-door")?, opened)?;
    let state = fs::read_to_string(place.path("work/terraform.tfstate"))?;
    same("the token is in the state", state.contains("\"demo_token\""), false)
}

/// A value of each kind comes back unchanged.
pub(crate) fn every_kind(place: &Workdir) -> Outcome {
    place.configure(
        r#"
resource "demo_thing" "a" {
  name   = "one"
  size   = 12345678901234567890123
  tags   = { b = "2", a = "1", "ключ" = "значение" }
  notes  = ["x", "", "line\nbreak"]
  secret = "hidden"
  extra  = { n = 0.1, l = [1, true, "x", null], m = { deep = [{ er = -5 }] } }
  rule {
    port = 80
  }
  rule {
    port  = 443
    proto = "tcp"
  }
}
output "extra" {
  value = demo_thing.a.extra
}
"#,
    )?;
    let shown = place.succeeds("apply -auto-approve")?;
    same("the secret is shown", shown.printed("hidden"), false)?;
    let text = fs::read_to_string(place.path(&format!("store/{}.json", id("one"))))?;
    same("the large number in the store", text.contains(":12345678901234567890123,"), true)?;
    let thing = place.thing(id("one"))?;
    same("tags", &thing["tags"], &json!({ "b": "2", "a": "1", "ключ": "значение" }))?;
    same("notes", &thing["notes"], &json!(["x", "", "line\nbreak"]))?;
    same("rules", &thing["rule"], &json!([{ "port": 80, "proto": null }, { "port": 443, "proto": "tcp" }]))?;
    let extra = json!({ "n": 0.1, "l": [1, true, "x", null], "m": { "deep": [{ "er": -5 }] } });
    same("extra", &thing["extra"]["value"], &extra)?;
    same("extra as an output", place.output("extra")?, extra)?;
    place.succeeds("plan -detailed-exitcode")?.must_print("No changes.")?;

    // First without all optional attributes, then with another type of the dynamic value.
    place.configure("resource \"demo_thing\" \"a\" {\n  name = \"one\"\n}\n")?;
    place.succeeds("apply -auto-approve")?;
    let thing = place.thing(id("one"))?;
    for attribute in ["size", "tags", "notes", "secret", "extra"] {
        same(attribute, &thing[attribute], &json!(null))?;
    }
    same("rules", &thing["rule"], &json!([]))?;
    place.configure("resource \"demo_thing\" \"a\" {\n  name  = \"one\"\n  extra = \"text\"\n}\n")?;
    place.succeeds("apply -auto-approve")?;
    place.succeeds("plan -detailed-exitcode")?.must_print("No changes.")
}

/// Values that are known only after an apply.
pub(crate) fn unknown(place: &Workdir) -> Outcome {
    place.configure(
        r#"
variable "name" {
  default = "one"
}
resource "demo_thing" "a" {
  name = var.name
}
resource "demo_thing" "b" {
  name   = demo_thing.a.greeting
  size   = demo_thing.a.revision
  notes  = ["known", "pre-${demo_thing.a.id}"]
  tags   = { id = demo_thing.a.id }
  secret = "pre-${demo_thing.a.id}"
  extra  = { id = demo_thing.a.id, list = [for i in [1, 2] : "${i}-${demo_thing.a.id}"] }
  dynamic "rule" {
    for_each = [1]
    content {
      port = demo_thing.a.revision + 1000
    }
  }
}
"#,
    )?;
    place.succeeds("apply -auto-approve")?.must_print("Resources: 2 added, 0 changed, 0 destroyed.")?;
    let b = place.attributes("b")?;
    same("name", &b["name"], "hello, one!")?;
    same("greeting", &b["greeting"], "hello, hello, one!!")?;
    same("notes", &b["notes"], &json!(["known", format!("pre-{}", id("one"))]))?;
    same("port", &b["rule"][0]["port"], 1001)?;
    place.succeeds("plan -detailed-exitcode")?.must_print("No changes.")?;
    // The name of the first thing changes, and with it the second.
    place.succeeds("apply -auto-approve -var name=two")?;
    same("name after a replacement", &place.attributes("b")?["name"], "hello, two!")?;
    place.succeeds("destroy -auto-approve")?;
    same("the store", place.stored()?, Vec::<String>::new())
}

/// Far more than 4 MiB, the default limit of gRPC libraries.
pub(crate) fn large(place: &Workdir) -> Outcome {
    fs::write(place.path("work/large.txt"), "0123456789abcdef".repeat((12 << 20) / 16))?;
    place.configure(
        "resource \"demo_thing\" \"a\" {\n  name  = \"one\"\n  notes = [file(\"large.txt\")]\n}\n",
    )?;
    place.succeeds("apply -auto-approve")?;
    let length = place.thing(id("one"))?["notes"][0].as_str().map(str::len);
    same("length in the store", length, Some(12 << 20))
}
