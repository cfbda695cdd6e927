//! Code that the README shows is code that is compiled: each block names the file it comes from, and stands there.

use super::Subject;

/// Looks at every Rust block of every Markdown file that says where it is from.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    let mut found = Vec::new();
    for text in subject.texts.iter().filter(|text| text.path.ends_with(".md")) {
        for Block { source, code, line } in blocks(&text.content) {
            let place = format!("{}:{line}", text.path);
            let Some(source) = source else {
                if text.path == "README.md" {
                    found.push(format!("{place}: a Rust block that does not say which file it is from"));
                }
                continue;
            };
            match subject.texts.iter().find(|file| file.path == source) {
                None => found.push(format!("{place}: there is no {source}")),
                Some(file) if !file.content.contains(&code) => {
                    found.push(format!("{place}: the block does not stand in {source}"));
                }
                Some(_) => {}
            }
        }
    }
    found
}

struct Block {
    /// The file named in a comment right above the block.
    source: Option<String>,
    code: String,
    line: usize,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(markdown.lines());
    let mut before = "";
    while let Some((line, text)) = lines.next() {
        if text == "```rust" {
            let source = before.strip_prefix("<!-- from ").and_then(|rest| rest.strip_suffix(" -->"));
            let code: Vec<_> =
                lines.by_ref().map(|(_, text)| text).take_while(|text| *text != "```").collect();
            let code = code.join("\n") + "\n";
            blocks.push(Block { source: source.map(str::to_owned), code, line });
        }
        before = text;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_block_and_its_source() {
        let found =
            blocks("a\n<!-- from x.rs -->\n```rust\nlet a;\n```\n\n```rust\nlet b;\n```\n```text\nc\n```\n");
        let found: Vec<_> =
            found.iter().map(|block| (block.source.as_deref(), block.code.as_str(), block.line)).collect();
        assert_eq!(found, [(Some("x.rs"), "let a;\n", 3), (None, "let b;\n", 7)]);
    }
}
