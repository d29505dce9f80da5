using System.Globalization;
using System.Text;

namespace Serverless.Inference.Templates;

/// <summary>
/// Parses expressions by precedence, lowest first, straight into functions. What is nested is bounded as it is read, and so is a chain of operators, whose evaluation is
/// as deep as it is long.
/// </summary>
internal sealed class ExpressionParser(TokenReader reader)
{
    private const int MaxNesting = 100;
    private const int MaxOperators = 1000;

    private int _nesting;
    private int _operators;

    /// <summary>Names of variables that the template reads.</summary>
    public HashSet<string> Names { get; } = new(StringComparer.Ordinal);

    /// <summary>A whole expression, with <c>a if b else c</c>.</summary>
    public Evaluate Parse()
    {
        Enter();
        var value = Or();
        while (reader.TryName("if"))
        {
            var (then, condition) = (value, Or());
            Evaluate otherwise = reader.TryName("else") ? Parse() : _ => Undefined.Value;
            value = Operator(scope => Values.IsTrue(condition(scope)) ? then(scope) : otherwise(scope));
        }

        Leave();
        return value;
    }

    /// <summary>What a loop goes over: an expression whose <c>if</c> is the loop's own.</summary>
    public Evaluate ParseLoopItems()
    {
        Enter();
        var value = Or();
        Leave();
        return value;
    }

    /// <summary>An expression or, with commas, a tuple.</summary>
    public Evaluate ParseTuple()
    {
        List<Evaluate> items = [Parse()];
        while (reader.TryOperator(",")) items.Add(Parse());
        return items.Count == 1 ? items[0] : Listed(items);
    }

    private void Enter()
    {
        if (_nesting == 0) _operators = 0;
        if (++_nesting > MaxNesting) throw new TemplateException($"Line {reader.Line}: an expression is nested deeper than {MaxNesting}.");
    }

    private void Leave() => _nesting--;

    /// <summary>A function of others, which pays for its step.</summary>
    private Evaluate Operator(Evaluate evaluate)
    {
        if (++_operators > MaxOperators) throw new TemplateException($"Line {reader.Line}: an expression has more than {MaxOperators} operators.");
        return scope =>
        {
            scope.Budget.Step();
            return evaluate(scope);
        };
    }

    private static Evaluate Listed(List<Evaluate> items) => scope =>
    {
        scope.Budget.PayItems(items.Count);
        return items.ConvertAll(item => item(scope));
    };

    private Evaluate Or()
    {
        var left = And();
        while (reader.TryName("or"))
        {
            var (first, second) = (left, And());
            left = Operator(scope => first(scope) is var value && Values.IsTrue(value) ? value : second(scope));
        }

        return left;
    }

    private Evaluate And()
    {
        var left = Not();
        while (reader.TryName("and"))
        {
            var (first, second) = (left, Not());
            left = Operator(scope => first(scope) is var value && !Values.IsTrue(value) ? value : second(scope));
        }

        return left;
    }

    private Evaluate Not()
    {
        if (!reader.TryName("not")) return Comparison();
        Enter();
        var operand = Not();
        Leave();
        return Operator(scope => !Values.IsTrue(operand(scope)));
    }

    private Evaluate Comparison()
    {
        var left = Sum();
        while (true)
        {
            string? name = null;
            foreach (var known in (ReadOnlySpan<string>)["==", "!=", "<=", ">=", "<", ">"])
            {
                if (reader.TryOperator(known)) name = known;
            }

            if (name is null && reader.IsName("not") && reader.IsName("in", 1)) (name, _, _) = ("not in", reader.Take(), reader.Take());
            if (name is null && reader.TryName("in")) name = "in";
            if (name is null) return left;

            var (first, second) = (left, Sum());
            left = Operator(scope => Values.Compare(scope.Budget, name, first(scope), second(scope)));
        }
    }

    private Evaluate Sum()
    {
        var left = Product();
        while (reader.IsOperator("+") || reader.IsOperator("-") || reader.IsOperator("~"))
        {
            var token = reader.Take();
            var (first, second) = (left, Product());
            left = Operator(scope => Arithmetic.Apply(scope.Budget, token.Text, first(scope), second(scope)));
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
            left = Operator(scope => Arithmetic.Apply(scope.Budget, token.Text, first(scope), second(scope)));
        }

        return left;
    }

    private Evaluate Unary()
    {
        Enter();
        var value = Signed();
        Leave();
        return value;
    }

    private Evaluate Signed()
    {
        if (reader.TryOperator("-"))
        {
            var operand = Unary();
            return Operator(scope => Arithmetic.Apply(scope.Budget, "-", 0L, operand(scope)));
        }

        if (reader.TryOperator("+")) return Unary();

        var value = Postfix(Primary());
        if (!reader.TryOperator("**")) return value;

        var exponent = Unary();
        return Operator(scope => Arithmetic.Apply(scope.Budget, "**", value(scope), exponent(scope)));
    }

    private Evaluate Postfix(Evaluate value)
    {
        while (true)
        {
            var of = value;
            if (reader.TryOperator("."))
            {
                var name = reader.Current.Kind == TokenKind.Number ? reader.Take().Text : reader.Name();
                value = Operator(scope => Values.Attribute(of(scope), name));
            }
            else if (reader.TryOperator("["))
            {
                value = Subscript(of);
            }
            else if (reader.TryOperator("("))
            {
                var call = Arguments();
                value = Operator(scope => Call(of(scope), call, scope));
            }
            else if (reader.TryOperator("|"))
            {
                value = Filter(of, reader.Name());
            }
            else if (reader.TryName("is"))
            {
                value = Test(of);
            }
            else
            {
                return value;
            }
        }
    }

    /// <summary>A filter applied to a value; also what <c>{% filter %}</c> does.</summary>
    public Evaluate Filter(Evaluate of, string name)
    {
        var arguments = reader.TryOperator("(") ? Arguments() : null;
        return Operator(scope => TemplateFilters.Apply(scope.Budget, name, of(scope), Positional(arguments, scope), Named(arguments, scope)));
    }

    private Evaluate Test(Evaluate of)
    {
        Enter();
        var negated = reader.TryName("not");
        var name = reader.Current.Kind == TokenKind.Name ? reader.Take().Text : throw reader.Fault("a test");
        CallArguments? arguments = null;
        if (reader.TryOperator("(")) arguments = Arguments();
        else if (StartsOperand()) arguments = new CallArguments([Postfix(Primary())], []);
        Leave();
        return Operator(scope => TemplateTests.Holds(scope.Budget, name, of(scope), Positional(arguments, scope)) != negated);
    }

    private bool StartsOperand() => reader.Current.Kind is TokenKind.Text or TokenKind.Number
        || (reader.Current.Kind == TokenKind.Name && reader.Current.Text is not ("and" or "or" or "not" or "if" or "else" or "in" or "is" or "recursive"));

    private Evaluate Subscript(Evaluate of)
    {
        Evaluate? from = reader.IsOperator(":") ? null : Parse();
        if (!reader.IsOperator(":"))
        {
            reader.Operator("]");
            return Operator(scope => Values.Item(scope.Budget, of(scope), from!(scope)));
        }

        reader.Operator(":");
        Evaluate? to = reader.IsOperator(":") || reader.IsOperator("]") ? null : Parse();
        Evaluate? step = reader.TryOperator(":") && !reader.IsOperator("]") ? Parse() : null;
        reader.Operator("]");
        return Operator(scope => Values.Slice(scope.Budget, of(scope), from?.Invoke(scope), to?.Invoke(scope), step?.Invoke(scope)));
    }

    private Evaluate Primary()
    {
        var token = reader.Take();
        switch (token)
        {
            case { Kind: TokenKind.Text }:
                var text = new StringBuilder(token.Text);
                while (reader.Current.Kind == TokenKind.Text) text.Append(reader.Take().Text);
                var literal = TemplateText.Of(text.ToString());
                return _ => literal;
            case { Kind: TokenKind.Number }:
                var number = Number(token);
                return _ => number;
            case { Kind: TokenKind.Name }:
                return Name(token.Text);
            case { Kind: TokenKind.Operator, Text: "(" }:
                return Parenthesis();
            case { Kind: TokenKind.Operator, Text: "[" }:
                return Listed(List("]"));
            case { Kind: TokenKind.Operator, Text: "{" }:
                return Map();
            default:
                throw new TemplateException($"Line {token.Line}: an expression is expected, '{token.Text}' ({token.Kind}) is there.");
        }
    }

    private static object Number(TemplateToken token)
    {
        if (!token.Text.Contains('.') && long.TryParse(token.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var whole)) return whole;
        if (double.TryParse(token.Text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return number;
        throw new TemplateException($"Line {token.Line}: '{(token.Text.Length > 40 ? token.Text[..40] + "…" : token.Text)}' is no number.");
    }

    private Evaluate Name(string name)
    {
        switch (name)
        {
            case "true" or "True":
                return _ => true;
            case "false" or "False":
                return _ => false;
            case "none" or "None":
                return _ => null;
            default:
                Names.Add(name);
                return scope => scope[name];
        }
    }

    private Evaluate Parenthesis()
    {
        if (reader.TryOperator(")")) return _ => new List<object?>();

        var first = Parse();
        if (reader.TryOperator(")")) return first;

        reader.Operator(",");
        return Listed([first, .. List(")")]);
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

        return Operator(scope =>
        {
            var map = Values.NewMap(scope.Budget);
            foreach (var (key, value) in pairs) Values.Set(scope.Budget, map, Values.Text(scope.Budget, key(scope)).Value, value(scope));
            return map;
        });
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

    private static List<object?> Positional(CallArguments? arguments, TemplateScope scope)
    {
        scope.Budget.PayItems(arguments?.Positional.Count ?? 0);
        return arguments is null ? [] : arguments.Positional.ConvertAll(argument => argument(scope));
    }

    private static Dictionary<string, object?> Named(CallArguments? arguments, TemplateScope scope)
    {
        scope.Budget.PayItems(6 * (1 + (arguments?.Named.Count ?? 0)));
        var named = new Dictionary<string, object?>(StringComparer.Ordinal);
        foreach (var (name, value) in arguments?.Named ?? []) named[name] = value(scope);
        return named;
    }

    private static object? Call(object? function, CallArguments arguments, TemplateScope scope) =>
        function is TemplateCall call ? call(scope.Budget, Positional(arguments, scope), Named(arguments, scope)) : throw scope.Budget.Fault("what is called is no function");

    private sealed record CallArguments(List<Evaluate> Positional, List<(string Name, Evaluate Value)> Named);
}
