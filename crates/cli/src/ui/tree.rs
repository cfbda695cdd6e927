//! A tree of headings and named values.

use std::fmt;

use super::{
    style::{dim, on_one_line, strong},
    wrap::wrapped,
};

/// A heading with values and further headings below it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    title: String,
    branches: Vec<Branch>,
}

#[derive(Debug, Clone)]
enum Branch {
    Fact { name: String, value: String },
    Line(String),
    Tree(Tree),
}

impl Tree {
    /// A tree with this heading. Line breaks in a heading are shown as `\n`, so that a peer's name cannot look like a branch.
    pub(crate) fn new(title: impl fmt::Display) -> Self {
        Self { title: on_one_line(&title.to_string()), branches: Vec::new() }
    }

    /// Adds a named value.
    pub(crate) fn fact(&mut self, name: impl Into<String>, value: impl fmt::Display) -> &mut Self {
        self.branches.push(Branch::Fact { name: on_one_line(&name.into()), value: value.to_string() });
        self
    }

    /// Adds a line without a name.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> &mut Self {
        self.branches.push(Branch::Line(text.to_string()));
        self
    }

    /// Adds a heading below this one.
    pub(crate) fn tree(&mut self, tree: Self) -> &mut Self {
        self.branches.push(Branch::Tree(tree));
        self
    }

    /// Renders the tree. Values are wrapped in their column if `columns` is a limit.
    pub(super) fn within(&self, columns: Option<usize>) -> String {
        let mut text = strong(&self.title);
        self.write(&mut text, "", columns);
        text
    }

    fn write(&self, text: &mut String, indent: &str, columns: Option<usize>) {
        let names = self.branches.iter().filter_map(|branch| match branch {
            Branch::Fact { name, .. } => Some(name.chars().count()),
            _ => None,
        });
        let column = names.max().unwrap_or(0);
        for (n, branch) in self.branches.iter().enumerate() {
            let last = n + 1 == self.branches.len();
            let (knee, rail) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            *text += &format!("\n{}", dim(format_args!("{indent}{knee}")));
            let indent = format!("{indent}{rail}");
            let room = |taken: usize| columns.map(|columns| columns.saturating_sub(taken));
            let (name, width, value) = match branch {
                Branch::Fact { name, value } => {
                    (dim(format_args!("{name:column$}")) + "  ", column + 2, value.as_str())
                }
                Branch::Line(value) => (String::new(), 0, value.as_str()),
                Branch::Tree(tree) => {
                    let lines = wrapped(&strong(&tree.title), room(indent.chars().count()));
                    *text += &lines.join(&format!("\n{}", dim(&indent)));
                    tree.write(text, &indent, columns);
                    continue;
                }
            };
            let lines = wrapped(value, room(indent.chars().count() + width));
            *text += &name;
            *text += &lines.join(&format!("\n{}{:width$}", dim(&indent), ""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::style::plain, *};

    #[test]
    fn values_are_aligned_in_a_column() {
        let mut inner = Tree::new("inner");
        inner.fact("a", 1).fact("long", "two\nlines");
        let mut tree = Tree::new("outer");
        tree.tree(inner).line("last");
        assert_eq!(
            plain(&tree.within(None)),
            "outer\n├─ inner\n│  ├─ a     1\n│  └─ long  two\n│           lines\n└─ last"
        );
    }

    #[test]
    fn values_are_wrapped_in_their_column() {
        let mut inner = Tree::new("in\nner");
        inner.fact("name", "a value of many words that a line has no room for");
        let mut tree = Tree::new("outer");
        tree.tree(inner).line("a line of many words that goes on too");
        let wrapped = plain(&tree.within(Some(32)));
        assert_eq!(
            wrapped,
            "outer\n├─ in\\nner\n│  └─ name  a value of many\n│           words that a line\n│           has no room for\n└─ a line of \
             many words that\n   goes on too"
        );
    }
}
