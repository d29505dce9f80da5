namespace Serverless.Inference.Templates;

/// <summary>A <c>for</c>.</summary>
internal sealed class TemplateLoop(List<string> names, Evaluate items, Evaluate? condition, Execute body, Execute? otherwise)
{
    public LoopSignal Run(TemplateScope scope)
    {
        var all = Values.Items(scope.Budget, items(scope));
        if (condition is not null)
        {
            scope.Budget.PayItems(all.Count);
            all = [.. all.Where(item => Values.IsTrue(condition(Bound(scope, item))))];
        }

        if (all.Count == 0) return otherwise?.Invoke(scope) ?? LoopSignal.None;

        for (var i = 0; i < all.Count; i++)
        {
            scope.Budget.Step();
            var inner = Bound(scope, all[i]);
            inner["loop"] = new LoopState(all, i);
            if (body(inner) == LoopSignal.Break) break;
        }

        return LoopSignal.None;
    }

    private TemplateScope Bound(TemplateScope scope, object? item)
    {
        var inner = scope.Nested();
        if (names.Count == 1)
        {
            inner[names[0]] = item;
            return inner;
        }

        var parts = Values.Items(scope.Budget, item);
        for (var i = 0; i < names.Count; i++) inner[names[i]] = i < parts.Count ? parts[i] : Undefined.Value;
        return inner;
    }
}

/// <summary>What a loop's body finds as <c>loop</c>.</summary>
internal sealed class LoopState(List<object?> all, int index)
{
    public object? Find(string name) => name switch
    {
        "index" => index + 1L,
        "index0" => (long)index,
        "revindex" => (long)all.Count - index,
        "revindex0" => all.Count - index - 1L,
        "first" => index == 0,
        "last" => index == all.Count - 1,
        "length" => (long)all.Count,
        "previtem" => index > 0 ? all[index - 1] : Undefined.Value,
        "nextitem" => index + 1 < all.Count ? all[index + 1] : Undefined.Value,
        "cycle" => new TemplateCall((_, arguments, _) => arguments[index % arguments.Count]),
        _ => Undefined.Value,
    };
}
