namespace Serverless.Inference.Templates;

/// <summary>Parses statements straight into functions.</summary>
internal sealed class TemplateParser(TokenReader reader)
{
    private const int MaxNesting = 60;

    private readonly ExpressionParser _expressions = new(reader);
    private int _nesting;

    /// <summary>Names of variables that the template reads; known once it is parsed.</summary>
    public IReadOnlySet<string> Names => _expressions.Names;

    /// <summary>The whole template.</summary>
    public Execute Parse()
    {
        var body = Block();
        return reader.Current.Kind == TokenKind.End ? body : throw reader.Fault("the end of the template");
    }

    /// <summary>Statements up to a tag that begins with one of <paramref name="ends"/>, which is left to the caller.</summary>
    private Execute Block(params string[] ends)
    {
        if (++_nesting > MaxNesting) throw new TemplateException($"Line {reader.Line}: statements are nested deeper than {MaxNesting}.");

        List<Execute> statements = [];
        while (reader.Current.Kind != TokenKind.End)
        {
            if (reader.Current.Kind == TokenKind.StatementStart && Array.Exists(ends, end => reader.IsName(end, 1)))
            {
                _nesting--;
                return Sequence(statements);
            }

            statements.Add(Statement());
        }

        if (ends.Length > 0) throw reader.Fault(string.Join(" or ", ends));
        _nesting--;
        return Sequence(statements);
    }

    private static Execute Sequence(List<Execute> statements)
    {
        var all = statements.ToArray();
        return scope =>
        {
            foreach (var statement in all)
            {
                scope.Budget.Step();
                if (statement(scope) is var signal and not LoopSignal.None) return signal;
            }

            return LoopSignal.None;
        };
    }

    private Execute Statement()
    {
        var token = reader.Take();
        switch (token.Kind)
        {
            case TokenKind.Data:
                var text = TemplateText.Of(token.Text);
                return Done(token.Line, scope => scope.Write(text));
            case TokenKind.ExpressionStart:
                var value = _expressions.ParseTuple();
                reader.Expect(TokenKind.ExpressionEnd);
                return Done(token.Line, scope => scope.Write(Values.Text(scope.Budget, value(scope))));
            case TokenKind.StatementStart:
                return Tag(reader.Name(), token.Line);
            default:
                throw new TemplateException($"Line {token.Line}: '{token.Text}' is out of place.");
        }
    }

    private Execute Tag(string name, int line)
    {
        switch (name)
        {
            case "if":
                return If(line);
            case "for":
                return For(line);
            case "set":
                return Set(line);
            case "macro":
                return Macro(line);
            case "filter":
                return Filter(line);
            case "generation":
                return Wrapped("endgeneration");
            case "break":
                reader.Expect(TokenKind.StatementEnd);
                return _ => LoopSignal.Break;
            case "continue":
                reader.Expect(TokenKind.StatementEnd);
                return _ => LoopSignal.Continue;
            default:
                throw new TemplateException($"Line {line}: the tag '{name}' is not known.");
        }
    }

    /// <summary>A statement of that line.</summary>
    private static Execute Done(int line, Action<TemplateScope> action) => scope =>
    {
        scope.Budget.Line = line;
        action(scope);
        return LoopSignal.None;
    };

    private void Close(string name)
    {
        reader.Expect(TokenKind.StatementStart);
        if (!reader.TryName(name)) throw reader.Fault(name);
        reader.Expect(TokenKind.StatementEnd);
    }

    private Execute Wrapped(string end)
    {
        reader.Expect(TokenKind.StatementEnd);
        var body = Block(end);
        Close(end);
        return body;
    }

    private Execute If(int line)
    {
        List<(Evaluate Condition, Execute Body)> branches = [];
        Execute? otherwise = null;
        while (true)
        {
            var condition = _expressions.Parse();
            reader.Expect(TokenKind.StatementEnd);
            branches.Add((condition, Block("elif", "else", "endif")));
            reader.Expect(TokenKind.StatementStart);
            if (reader.TryName("elif")) continue;

            if (reader.TryName("else"))
            {
                reader.Expect(TokenKind.StatementEnd);
                otherwise = Block("endif");
                reader.Expect(TokenKind.StatementStart);
            }

            reader.Name();
            reader.Expect(TokenKind.StatementEnd);
            break;
        }

        return scope =>
        {
            foreach (var (condition, body) in branches)
            {
                scope.Budget.Line = line;
                scope.Budget.Step();
                if (Values.IsTrue(condition(scope))) return body(scope);
            }

            return otherwise?.Invoke(scope) ?? LoopSignal.None;
        };
    }

    private Execute For(int line)
    {
        List<string> names = [Target()];
        while (reader.TryOperator(",")) names.Add(Target());
        reader.TryOperator(")");
        if (!reader.TryName("in")) throw reader.Fault("in");

        var items = _expressions.ParseLoopItems();
        var condition = reader.TryName("if") ? _expressions.Parse() : null;
        reader.TryName("recursive");
        reader.Expect(TokenKind.StatementEnd);
        var body = Block("else", "endfor");
        Execute? otherwise = null;
        if (reader.IsName("else", 1))
        {
            Close("else");
            otherwise = Block("endfor");
        }

        Close("endfor");
        var loop = new TemplateLoop(names, items, condition, body, otherwise);
        return scope =>
        {
            scope.Budget.Line = line;
            return loop.Run(scope);
        };
    }

    private string Target()
    {
        reader.TryOperator("(");
        return reader.Name();
    }

    private Execute Set(int line)
    {
        List<string> names = [reader.Name()];
        var attribute = reader.TryOperator(".") ? reader.Name() : null;
        while (reader.TryOperator(",")) names.Add(reader.Name());
        if (!reader.TryOperator("="))
        {
            reader.Expect(TokenKind.StatementEnd);
            var body = Block("endset");
            Close("endset");
            return Done(line, scope => scope[names[0]] = Captured(body, scope));
        }

        var value = _expressions.ParseTuple();
        reader.Expect(TokenKind.StatementEnd);
        return Done(line, scope => Assign(scope, names, attribute, value(scope)));
    }

    private static void Assign(TemplateScope scope, List<string> names, string? attribute, object? value)
    {
        if (attribute is not null)
        {
            if (scope[names[0]] is not IDictionary<string, object?> map) throw scope.Budget.Fault($"'{names[0]}' is no namespace");
            Values.Set(scope.Budget, map, attribute, value);
        }
        else if (names.Count == 1)
        {
            scope[names[0]] = value;
        }
        else
        {
            var items = Values.Items(scope.Budget, value);
            for (var i = 0; i < names.Count; i++) scope[names[i]] = i < items.Count ? items[i] : Undefined.Value;
        }
    }

    private static TemplateText Captured(Execute body, TemplateScope scope)
    {
        List<TemplateText> output = [];
        body(scope.Nested(output));
        return TemplateText.Concat(scope.Budget, [.. output]);
    }

    private Execute Filter(int line)
    {
        var apply = _expressions.Filter(scope => scope["\0captured"], reader.Name());
        var body = Wrapped("endfilter");
        return Done(line, scope =>
        {
            var inner = scope.Nested();
            inner["\0captured"] = Captured(body, scope);
            scope.Write(Values.Text(scope.Budget, apply(inner)));
        });
    }

    private Execute Macro(int line)
    {
        var name = reader.Name();
        reader.Operator("(");
        List<(string Name, Evaluate? Default)> parameters = [];
        while (!reader.TryOperator(")"))
        {
            parameters.Add((reader.Name(), reader.TryOperator("=") ? _expressions.Parse() : null));
            if (!reader.IsOperator(")")) reader.Operator(",");
        }

        var body = Wrapped("endmacro");
        return Done(line, scope => scope[name] = new TemplateCall((budget, arguments, named) =>
        {
            budget.Enter();
            var caller = budget.Line;
            var inner = scope.Nested();
            foreach (var (index, (parameter, missing)) in parameters.Index())
            {
                inner[parameter] = index < arguments.Count ? arguments[index] : named.TryGetValue(parameter, out var given) ? given : missing?.Invoke(scope) ?? (object)Undefined.Value;
            }

            var result = Captured(body, inner);
            budget.Leave();
            budget.Line = caller;
            return result;
        }));
    }
}
