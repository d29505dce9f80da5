namespace Serverless.Inference.Templates;

/// <summary>A string of a template that knows of each character whether it is data. Immutable; equal where the characters are. Whoever builds one pays for it.</summary>
internal sealed class TemplateText : IEquatable<TemplateText>
{
    /// <summary>Where own text turns to data or data to own text, in order; nearly always empty.</summary>
    private readonly int[] _turns;
    private readonly bool _beginsAsData;

    private TemplateText(string value, bool beginsAsData, int[] turns)
    {
        (Value, _beginsAsData, _turns) = (value, beginsAsData, turns);
    }

    public static TemplateText Empty { get; } = Of("");

    public string Value { get; }

    /// <summary>Whether it was declared safe: then what is added to it is escaped for HTML, as Jinja's <c>Markup</c> does.</summary>
    public bool IsMarkup { get; private init; }

    public int Length => Value.Length;

    /// <summary>Whether any of it is data.</summary>
    public bool HasData => _beginsAsData || _turns.Length > 0;

    /// <summary>The template's own text.</summary>
    public static TemplateText Of(string value) => new(value, false, []);

    /// <summary>A user's text.</summary>
    public static TemplateText OfData(string value) => new(value, true, []);

    public static TemplateText Concat(TemplateBudget budget, params ReadOnlySpan<TemplateText> parts)
    {
        var (length, turns) = (0L, 0L);
        foreach (var part in parts) (length, turns) = (length + part.Length, turns + part._turns.Length + 1);
        budget.PayText(length + (8 * turns));

        var values = new string[parts.Length];
        for (var i = 0; i < parts.Length; i++) values[i] = parts[i].Value;

        var joined = new List<int>();
        var (begins, isData, at) = ((bool?)null, false, 0);
        foreach (var part in parts)
        {
            if (part.Length == 0) continue;
            begins ??= isData = part._beginsAsData;
            if (part._beginsAsData != isData) joined.Add(at);
            foreach (var turn in part._turns) joined.Add(at + turn);
            isData = part._beginsAsData != (part._turns.Length % 2 == 1);
            at += part.Length;
        }

        return new TemplateText(string.Concat(values), begins ?? false, [.. joined]);
    }

    public TemplateText AsMarkup() => new(Value, _beginsAsData, _turns) { IsMarkup = true };

    public TemplateText Slice(TemplateBudget budget, int start, int length)
    {
        if (length == Length) return this;
        if (length == 0) return Empty;

        budget.PayText(length + _turns.Length);
        var value = Value.Substring(start, length);
        return _turns.Length == 0 ? new TemplateText(value, _beginsAsData, []) : Turned(value, start);
    }

    public TemplateText Trim(TemplateBudget budget, bool start, bool end, string? characters)
    {
        budget.Pay(Length * (1L + (characters?.Length ?? 0)));
        var (first, last) = (0, Length);
        while (start && first < last && Matches(Value[first])) first++;
        while (end && last > first && Matches(Value[last - 1])) last--;
        return Slice(budget, first, last - first);

        bool Matches(char character) => characters is null ? char.IsWhiteSpace(character) : characters.Contains(character);
    }

    /// <summary>Changes characters one for one; where the length changes all of it becomes data if any of it was.</summary>
    public TemplateText Map(TemplateBudget budget, Func<string, string> change)
    {
        budget.PayText(3L * Length);
        var changed = change(Value);
        return changed.Length == Length ? new TemplateText(changed, _beginsAsData, _turns) : HasData ? OfData(changed) : Of(changed);
    }

    /// <summary>Cuts at each <paramref name="separator"/>, at most <paramref name="limit"/> times if it is not negative; an empty separator cuts nowhere.</summary>
    public List<TemplateText> Split(TemplateBudget budget, string separator, long limit = -1)
    {
        budget.PaySearch(Length, separator.Length);
        List<TemplateText> parts = [];
        var from = 0;
        for (int at; separator.Length > 0 && parts.Count != limit && (at = Value.IndexOf(separator, from, StringComparison.Ordinal)) >= 0; from = at + separator.Length)
        {
            parts.Add(Part(budget, from, at - from));
        }

        parts.Add(Part(budget, from, Length - from));
        return parts;
    }

    /// <summary>The same from the end; the parts are in order.</summary>
    public List<TemplateText> SplitFromEnd(TemplateBudget budget, string separator, long limit)
    {
        budget.PaySearch(Length, separator.Length);
        List<TemplateText> parts = [];
        var end = Length;
        for (int at; separator.Length > 0 && parts.Count != limit && end > 0 && (at = Value.AsSpan(0, end).LastIndexOf(separator, StringComparison.Ordinal)) >= 0; end = at)
        {
            parts.Add(Part(budget, at + separator.Length, end - at - separator.Length));
        }

        parts.Add(Part(budget, 0, end));
        parts.Reverse();
        return parts;
    }

    /// <summary>Splits at white space, dropping empty parts; after <paramref name="limit"/> cuts the rest is one part.</summary>
    public List<TemplateText> Words(TemplateBudget budget, long limit = -1)
    {
        budget.Pay(Length);
        List<TemplateText> words = [];
        for (var i = 0; i < Length;)
        {
            var start = i;
            while (i < Length && !char.IsWhiteSpace(Value[i])) i++;
            if (i == start)
            {
                i++;
                continue;
            }

            if (words.Count == limit) i = Length;
            words.Add(Part(budget, start, i - start));
        }

        return words;
    }

    /// <summary>Where own text and data alternate.</summary>
    public IEnumerable<(int Start, int Length, bool IsData)> Stretches()
    {
        var (start, isData) = (0, _beginsAsData);
        foreach (var turn in _turns)
        {
            yield return (start, turn - start, isData);
            (start, isData) = (turn, !isData);
        }

        if (start < Length) yield return (start, Length - start, isData);
    }

    public bool Equals(TemplateText? other) => other is not null && other.Value == Value;

    public override bool Equals(object? obj) => Equals(obj as TemplateText);

    public override int GetHashCode() => Value.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Value;

    private TemplateText Turned(string value, int start)
    {
        var before = _turns.Count(turn => turn <= start);
        return new TemplateText(value, _beginsAsData != (before % 2 == 1), [.. _turns.Where(turn => turn > start && turn < start + value.Length).Select(turn => turn - start)]);
    }

    private TemplateText Part(TemplateBudget budget, int start, int length)
    {
        budget.PayItems(1);
        return Slice(budget, start, length);
    }
}
