using System.Globalization;

namespace Serverless.Tests.Inference.Templates;

/// <summary>Random templates that mostly parse: what a sentence of the language can be, with a liking for what grows.</summary>
internal sealed class TemplateGrammar(Random random)
{
    private static readonly string[] Names = ["a", "b", "ns", "messages", "m", "f", "loop", "s", "undefined_name"];

    private static readonly string[] Filters =
    [
        "trim", "length", "tojson", "string", "safe", "escape", "join(',')", "upper", "title", "replace('a', s)", "indent(9)", "default('d')", "int", "list", "first", "last", "reverse", "sort", "unique", "sum",
        "min", "items", "dictsort", "map('string')", "map(attribute='content')", "select", "rejectattr('role', '==', 'x')", "tojson(indent=4)", "format(1, 'a')", "nonsense",
    ];

    private static readonly string[] Tests = ["defined", "none", "string", "mapping", "odd", "eq(a)", "in [a, b]", "gt(3)", "divisibleby(2)", "nonsense"];

    private static readonly string[] Methods =
        ["strip()", "split('a')", "split()", "rsplit('a', 1)", "splitlines()", "upper()", "startswith('a')", "replace('a', 'aa')", "items()", "keys()", "get('x', a)", "join(messages)", "format(a, x=b)", "count('')", "find('a')", "zfill(99)"];

    private static readonly string[] Operators = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"];

    private static readonly string[] Growing =
    [
        "{% for i in range(30) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "{% for i in range(30) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}", "{% set ns.x = ns %}", "{% set ns.x = [ns, ns] %}",
        "{% macro f(a) %}{{ f(a) }}{{ f(a) }}{% endmacro %}", "{% macro f(a) %}{{ a }}{% endmacro %}", "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
    ];

    public string Template()
    {
        if (random.Next(20) == 0) return Deep();

        var text = "{% set ns = namespace(s='ab', l=[1], n=0) %}{% set a = [1, 'x', {'k': 2}] %}{% set b = 3 %}{% set s = 'some text a' %}" + Block(4);
        if (random.Next(8) != 0) return text;

        // Spoilt in a place or two.
        for (var i = random.Next(1, 4); i > 0; i--)
        {
            var at = random.Next(text.Length);
            text = random.Next(2) == 0 ? text.Remove(at, Math.Min(random.Next(1, 9), text.Length - at)) : text.Insert(at, Pick(["{", "}", "%}", "{%", "'", "\"", "(", "|", "\0", "\ud800", "{#", ".", "9999999999999999999999"]));
            if (text.Length == 0) break;
        }

        return text;
    }

    private string Deep()
    {
        var part = Pick(["-", "not ", "(", "[", "1+", "x.", "x|string|", "1 if ", "{1:", "1 is eq ", "'a' ", "2**", "{% if 1 %}", "{{ 1 }}", "{% filter upper %}", "{% set a %}"]);
        return (part[0] == '{' && part.Length > 2 && part[1] is '%' or '{' ? "" : "{{ ") + string.Concat(Enumerable.Repeat(part, random.Next(1, 50_000))) + (random.Next(2) == 0 ? "1 }}" : "x }}");
    }

    private string Block(int depth) => string.Concat(Enumerable.Range(0, random.Next(1, 5)).Select(_ => Statement(depth)));

    private string Statement(int depth)
    {
        if (depth == 0) return random.Next(3) == 0 ? "text " : $"{{{{ {Expression(2)} }}}}";
        return random.Next(12) switch
        {
            0 => $"{{% if {Expression(3)} %}}{Block(depth - 1)}{{% elif {Expression(1)} %}}{{% else %}}{Block(depth - 1)}{{% endif %}}",
            1 or 2 => $"{{% for {Pick(["m", "a, b", "s"])} in {Pick(["messages", "range(9)", "range(3000)", Expression(2)])} %}}{Block(depth - 1)}{{% endfor %}}",
            3 => $"{{% set {Pick(["a", "b", "ns.s", "ns.l", "ns.n", "s"])} = {Expression(3)} %}}",
            4 => $"{{% set s %}}{Block(depth - 1)}{{% endset %}}",
            5 => $"{{% macro f(a, b={Expression(1)}) %}}{Block(depth - 1)}{{% endmacro %}}",
            6 => $"{{% filter {Pick(Filters)} %}}{Block(depth - 1)}{{% endfilter %}}",
            7 => Pick(Growing),
            8 => " text\n {%- if true -%} x {%- endif %}",
            _ => $"{{{{ {Expression(4)} }}}}",
        };
    }

    private string Expression(int depth)
    {
        if (depth == 0) return Leaf();
        return random.Next(12) switch
        {
            0 or 1 => $"{Expression(depth - 1)} {Pick(Operators)} {Expression(depth - 1)}",
            2 => $"({Expression(depth - 1)})|{Pick(Filters)}",
            3 => $"({Expression(depth - 1)}) is {(random.Next(3) == 0 ? "not " : "")}{Pick(Tests)}",
            4 => $"{Leaf()}.{Pick(Methods)}",
            5 => $"{Expression(depth - 1)} if {Expression(depth - 1)} else {Expression(depth - 1)}",
            6 => $"({Expression(depth - 1)})[{Leaf()}]",
            7 => $"({Expression(depth - 1)})[{Number()}:{Number()}:{Pick(["", "-1", "2", "0"])}]",
            8 => $"[{Expression(depth - 1)}, {Expression(depth - 1)}]",
            9 => $"{{'k': {Expression(depth - 1)}, 'role': {Leaf()}}}",
            10 => $"{Pick(["f", "namespace", "range", "dict", "raise_exception", "strftime_now"])}({Expression(depth - 1)})",
            _ => $"{Pick(["-", "not ", ""])}{Leaf()}",
        };
    }

    private string Leaf() => random.Next(6) switch
    {
        0 => Pick(["'a'", "'{} {x}'", "'%s %d'", "''", "'<|im_start|>'"]),
        1 => Number(),
        2 => Pick(["ns.s", "ns.l", "ns.n", "ns.x", "messages[0].content", "loop.index"]),
        3 => Pick(["true", "none", "1.5", "[]", "{}"]),
        _ => Pick(Names),
    };

    private string Number() => random.Next(4) == 0 ? Pick(["9223372036854775807", "1000000", "100000"]) : random.Next(-3, 12).ToString(CultureInfo.InvariantCulture);

    private string Pick(string[] of) => of[random.Next(of.Length)];
}
