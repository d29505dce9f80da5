using System.Globalization;

namespace Serverless.Inference.Templates;

/// <summary>Parses expressions by precedence, lowest first, straight into functions.</summary>
internal sealed class ExpressionParser(TokenReader reader)
{
    private const int MaxNesting = 100;

    private int _nesting;

    /// <summary>A whole expression, with <c>a if b else c</c>.</summary>
    public Evaluate Parse()
    {
        if (++_nesting > MaxNesting) throw new TemplateException($"Line {reader.Line}: an expression is nested deeper than {MaxNesting}.");

        var value = Or();
        while (reader.TryName("if"))
        {
            var (then, condition) = (value, Or());
            Evaluate otherwise = reader.TryName("else") ? Parse() : _ => Undefined.Value;
            value = scope => Values.IsTrue(condition(scope)) ? then(scope) : otherwise(scope);
        }

        _nesting--;
        return value;
    }

    /// <summary>What a loop goes over: an expression whose <c>if</c> is the loop's own.</summary>
    public Evaluate ParseLoopItems() => Or();

    /// <summary>An expression or, with commas, a tuple.</summary>
    public Evaluate ParseTuple()
    {
        List<Evaluate> items = [Parse()];
        while (reader.TryOperator(",")) items.Add(Parse());
        return items.Count == 1 ? items[0] : scope => items.Select(item => item(scope)).ToList();
    }

    private Evaluate Or()
    {
        var left = And();
        while (reader.TryName("or"))
        {
            var (first, second) = (left, And());
            left = scope => first(scope) is var value && Values.IsTrue(value) ? value : second(scope);
        }

        return left;
    }

    private Evaluate And()
    {
        var left = Not();
        while (reader.TryName("and"))
        {
            var (first, second) = (left, Not());
            left = scope => first(scope) is var value && !Values.IsTrue(value) ? value : second(scope);
        }

        return left;
    }

    private Evaluate Not()
    {
        if (!reader.TryName("not")) return Comparison();
        var operand = Not();
        return scope => !Values.IsTrue(operand(scope));
    }

    private Evaluate Comparison()
    {
        var left = Sum();
        while (true)
        {
            var line = reader.Line;
            string? name = null;
            foreach (var known in (ReadOnlySpan<string>)["==", "!=", "<=", ">=", "<", ">"])
            {
                if (reader.TryOperator(known)) name = known;
            }

            if (name is null && reader.IsName("not") && reader.IsName("in", 1)) (name, _, _) = ("not in", reader.Take(), reader.Take());
            if (name is null && reader.TryName("in")) name = "in";
            if (name is null) return left;

            var (first, second) = (left, Sum());
            left = scope => Values.Compare(name, first(scope), second(scope), line);
        }
    }

    private Evaluate Sum()
    {
        var left = Product();
        while (reader.IsOperator("+") || reader.IsOperator("-") || reader.IsOperator("~"))
        {
            var token = reader.Take();
            var (first, second) = (left, Product());
            left = scope => Values.Arithmetic(token.Text, first(scope), second(scope), token.Line);
        }

        return left;
    }

    private Evaluate Product()
    {
        var left = Unary();
        while (reader.IsOperator("*") || reader.IsOperator("/") || reader.IsOperator("//") || reader.IsOperator("%"))
        {
            var token = reader.Take();
            var (first, second) = (left, Unary());
            left = scope => Values.Arithmetic(token.Text, first(scope), second(scope), token.Line);
        }

        return left;
    }

    private Evaluate Unary()
    {
        if (reader.IsOperator("-"))
        {
            var line = reader.Take().Line;
            var operand = Unary();
            return scope => Values.Arithmetic("-", 0L, operand(scope), line);
        }

        if (reader.TryOperator("+")) return Unary();

        var value = Postfix(Primary());
        if (!reader.IsOperator("**")) return value;

        var power = reader.Take().Line;
        var exponent = Unary();
        return scope => Values.Arithmetic("**", value(scope), exponent(scope), power);
    }

    private Evaluate Postfix(Evaluate value)
    {
        while (true)
        {
            var (of, line) = (value, reader.Line);
            if (reader.TryOperator("."))
            {
                var name = reader.Current.Kind == TokenKind.Number ? reader.Take().Text : reader.Name();
                value = scope => Values.Attribute(of(scope), name);
            }
            else if (reader.TryOperator("["))
            {
                value = Subscript(of, line);
            }
            else if (reader.TryOperator("("))
            {
                var call = Arguments();
                value = scope => Call(of(scope), call, scope, line);
            }
            else if (reader.TryOperator("|"))
            {
                value = Filter(of, reader.Name(), line);
            }
            else if (reader.TryName("is"))
            {
                value = Test(of, line);
            }
            else
            {
                return value;
            }
        }
    }

    /// <summary>A filter applied to a value; also what <c>{% filter %}</c> does.</summary>
    public Evaluate Filter(Evaluate of, string name, int line)
    {
        var arguments = reader.TryOperator("(") ? Arguments() : null;
        return scope => TemplateFilters.Apply(name, of(scope), Positional(arguments, scope), Named(arguments, scope), scope, line);
    }

    private Evaluate Test(Evaluate of, int line)
    {
        var negated = reader.TryName("not");
        var name = reader.Current.Kind == TokenKind.Name ? reader.Take().Text : throw reader.Fault("a test");
        CallArguments? arguments = null;
        if (reader.TryOperator("(")) arguments = Arguments();
        else if (StartsOperand()) arguments = new CallArguments([Postfix(Primary())], []);
        return scope => TemplateTests.Holds(name, of(scope), Positional(arguments, scope), line) != negated;
    }

    private bool StartsOperand() => reader.Current.Kind is TokenKind.Text or TokenKind.Number
        || (reader.Current.Kind == TokenKind.Name && reader.Current.Text is not ("and" or "or" or "not" or "if" or "else" or "in" or "is" or "recursive"));

    private Evaluate Subscript(Evaluate of, int line)
    {
        Evaluate? from = reader.IsOperator(":") ? null : Parse();
        if (!reader.IsOperator(":"))
        {
            reader.Operator("]");
            return scope => Values.Item(of(scope), from!(scope));
        }

        reader.Operator(":");
        Evaluate? to = reader.IsOperator(":") || reader.IsOperator("]") ? null : Parse();
        Evaluate? step = reader.TryOperator(":") && !reader.IsOperator("]") ? Parse() : null;
        reader.Operator("]");
        return scope => Values.Slice(of(scope), from?.Invoke(scope), to?.Invoke(scope), step?.Invoke(scope), line);
    }

    private Evaluate Primary()
    {
        var token = reader.Take();
        switch (token)
        {
            case { Kind: TokenKind.Text }:
                var text = token.Text;
                while (reader.Current.Kind == TokenKind.Text) text += reader.Take().Text;
                var literal = TemplateText.Of(text);
                return _ => literal;
            case { Kind: TokenKind.Number }:
                var number = token.Text.Contains('.') ? double.Parse(token.Text, CultureInfo.InvariantCulture) : (object)long.Parse(token.Text, CultureInfo.InvariantCulture);
                return _ => number;
            case { Kind: TokenKind.Name }:
                return Name(token.Text);
            case { Kind: TokenKind.Operator, Text: "(" }:
                return Parenthesis();
            case { Kind: TokenKind.Operator, Text: "[" }:
                var items = List("]");
                return scope => items.Select(item => item(scope)).ToList();
            case { Kind: TokenKind.Operator, Text: "{" }:
                return Map();
            default:
                throw new TemplateException($"Line {token.Line}: an expression is expected, '{token.Text}' ({token.Kind}) is there.");
        }
    }

    private static Evaluate Name(string name) => name switch
    {
        "true" or "True" => _ => true,
        "false" or "False" => _ => false,
        "none" or "None" => _ => null,
        _ => scope => scope[name],
    };

    private Evaluate Parenthesis()
    {
        if (reader.TryOperator(")")) return _ => new List<object?>();

        var first = Parse();
        if (reader.TryOperator(")")) return first;

        reader.Operator(",");
        List<Evaluate> items = [first, .. List(")")];
        return scope => items.Select(item => item(scope)).ToList();
    }

    private List<Evaluate> List(string close)
    {
        List<Evaluate> items = [];
        while (!reader.TryOperator(close))
        {
            items.Add(Parse());
            if (!reader.IsOperator(close)) reader.Operator(",");
        }

        return items;
    }

    private Evaluate Map()
    {
        List<(Evaluate Key, Evaluate Value)> pairs = [];
        while (!reader.TryOperator("}"))
        {
            var key = Parse();
            reader.Operator(":");
            pairs.Add((key, Parse()));
            if (!reader.IsOperator("}")) reader.Operator(",");
        }

        return scope =>
        {
            var map = new OrderedDictionary<string, object?>(StringComparer.Ordinal);
            foreach (var (key, value) in pairs) map[Values.Text(key(scope)).Value] = value(scope);
            return map;
        };
    }

    private CallArguments Arguments()
    {
        var arguments = new CallArguments([], []);
        while (!reader.TryOperator(")"))
        {
            if (reader.IsAssignment())
            {
                var name = reader.Name();
                reader.Operator("=");
                arguments.Named.Add((name, Parse()));
            }
            else
            {
                arguments.Positional.Add(Parse());
            }

            if (!reader.IsOperator(")")) reader.Operator(",");
        }

        return arguments;
    }

    private static List<object?> Positional(CallArguments? arguments, TemplateScope scope) => arguments is null ? [] : [.. arguments.Positional.Select(argument => argument(scope))];

    private static Dictionary<string, object?> Named(CallArguments? arguments, TemplateScope scope) =>
        arguments is null ? [] : arguments.Named.ToDictionary(argument => argument.Name, argument => argument.Value(scope), StringComparer.Ordinal);

    private static object? Call(object? function, CallArguments arguments, TemplateScope scope, int line)
    {
        scope.Budget.Step(line);
        return function is TemplateCall call ? call(Positional(arguments, scope), Named(arguments, scope)) : throw new TemplateException($"Line {line}: what is called is no function.");
    }

    private sealed record CallArguments(List<Evaluate> Positional, List<(string Name, Evaluate Value)> Named);
}
