//! The settings of rpcplugin-config, whose types a macro writes: `table!` in `crates/config/src/setting.rs`.

use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, Item, Macro, Token, Type, Visibility, braced, parse_quote};

/// The items that the macro makes of this invocation, if it is that macro.
pub(super) fn expanded(invocation: &Macro) -> syn::Result<Vec<Item>> {
    if !invocation.path.is_ident("table") {
        return Ok(Vec::new());
    }
    let Table { visibility, name, fields } = syn::parse2(invocation.tokens.clone())?;
    if !matches!(visibility, Visibility::Public(_)) {
        return Ok(Vec::new());
    }
    let (names, types): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    Ok(vec![
        parse_quote! {
            #[derive(Debug, Clone, PartialEq)]
            #[non_exhaustive]
            pub struct #name { #(pub #names: #types,)* }
        },
        parse_quote!(impl Default for #name {}),
    ])
}

/// `pub struct Name { settings }` and, after it, groups of further settings.
struct Table {
    visibility: Visibility,
    name: Ident,
    fields: Vec<(Ident, Type)>,
}

impl Parse for Table {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        input.parse::<Token![struct]>()?;
        let name = input.parse()?;
        let mut fields = rows(input)?;
        while !input.is_empty() {
            let kind: Ident = input.parse()?;
            let may_be_off = kind != "groups" && kind != "joined";
            fields.extend(
                rows(input)?.into_iter().map(|(name, group)| {
                    (name, if may_be_off { parse_quote!(Option<#group>) } else { group })
                }),
            );
        }
        Ok(Self { visibility, name, fields })
    }
}

/// Each `name: Type ...;` between the braces that follow.
fn rows(input: ParseStream<'_>) -> syn::Result<Vec<(Ident, Type)>> {
    let inside;
    braced!(inside in input);
    let mut rows = Vec::new();
    while !inside.is_empty() {
        inside.call(Attribute::parse_outer)?;
        let name = inside.parse()?;
        inside.parse::<Token![:]>()?;
        rows.push((name, inside.parse()?));
        while !inside.peek(Token![;]) {
            inside.parse::<proc_macro2::TokenTree>()?;
        }
        inside.parse::<Token![;]>()?;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_the_struct_that_it_makes() {
        let invocation = parse_quote! {
            table! {
                /// Told.
                pub struct Settings {
                    /// How long.
                    wait: Option<Duration> = "none", env ["WAIT", "ELSE"], pyvider [];
                }
                joined { /** How. */ tls: Tls; }
                groups { /** Some. */ http2: Http2; }
                switched { rate: Rate, env ["RATE"], pyvider []; }
            }
        };
        let items = expanded(&invocation).unwrap();
        let text = prettyplease::unparse(&syn::File { shebang: None, attrs: Vec::new(), items });
        let wanted = "#[derive(Debug, Clone, PartialEq)]\n#[non_exhaustive]\npub struct Settings {\n    \
            pub wait: Option<Duration>,\n    pub tls: Tls,\n    pub http2: Http2,\n    pub rate: Option<Rate>,\n}\n\
            impl Default for Settings {}\n";
        assert_eq!(text, wanted);
    }
}
