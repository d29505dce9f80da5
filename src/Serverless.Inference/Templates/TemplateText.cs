using System.Text;

namespace Serverless.Inference.Templates;

/// <summary>A string of a template that knows of each character whether it is data. Immutable; equal where the characters are.</summary>
internal sealed class TemplateText : IEquatable<TemplateText>
{
    private const char Own = 't';
    private const char Data = 'd';

    private readonly string _marks;

    private TemplateText(string value, string marks)
    {
        (Value, _marks) = (value, marks);
    }

    public static TemplateText Empty { get; } = Of("");

    public string Value { get; }

    /// <summary>Whether it was declared safe: then what is added to it is escaped for HTML, as Jinja's <c>Markup</c> does.</summary>
    public bool IsMarkup { get; private init; }

    public int Length => Value.Length;

    /// <summary>The template's own text.</summary>
    public static TemplateText Of(string value) => new(value, new string(Own, value.Length));

    /// <summary>A user's text.</summary>
    public static TemplateText OfData(string value) => new(value, new string(Data, value.Length));

    public static TemplateText Concat(IEnumerable<TemplateText> parts)
    {
        var (value, marks) = (new StringBuilder(), new StringBuilder());
        foreach (var part in parts)
        {
            value.Append(part.Value);
            marks.Append(part._marks);
        }

        return new TemplateText(value.ToString(), marks.ToString());
    }

    public TemplateText AsMarkup() => new(Value, _marks) { IsMarkup = true };

    public TemplateText Slice(int start, int length) => new(Value.Substring(start, length), _marks.Substring(start, length));

    public TemplateText Trim(bool start, bool end, string? characters)
    {
        var (first, last) = (0, Length);
        while (start && first < last && Matches(Value[first])) first++;
        while (end && last > first && Matches(Value[last - 1])) last--;
        return Slice(first, last - first);

        bool Matches(char character) => characters is null ? char.IsWhiteSpace(character) : characters.Contains(character);
    }

    /// <summary>Changes characters one for one; where the length changes all of it becomes data if any of it was.</summary>
    public TemplateText Map(Func<string, string> change)
    {
        var changed = change(Value);
        return changed.Length == Length ? new TemplateText(changed, _marks) : _marks.Contains(Data) ? OfData(changed) : Of(changed);
    }

    public List<TemplateText> Split(string separator, int limit)
    {
        List<TemplateText> parts = [];
        var from = 0;
        for (int at; parts.Count != limit && (at = Value.IndexOf(separator, from, StringComparison.Ordinal)) >= 0; from = at + separator.Length) parts.Add(Slice(from, at - from));
        parts.Add(Slice(from, Length - from));
        return parts;
    }

    /// <summary>Splits at white space, dropping empty parts.</summary>
    public List<TemplateText> Words()
    {
        List<TemplateText> words = [];
        for (var i = 0; i < Length;)
        {
            var start = i;
            while (i < Length && !char.IsWhiteSpace(Value[i])) i++;
            if (i > start) words.Add(Slice(start, i - start));
            else i++;
        }

        return words;
    }

    public IEnumerable<TemplateSegment> Segments()
    {
        for (var start = 0; start < Length;)
        {
            var end = start + 1;
            while (end < Length && _marks[end] == _marks[start]) end++;
            yield return new TemplateSegment(Value[start..end], _marks[start] == Data);
            start = end;
        }
    }

    public bool Equals(TemplateText? other) => other is not null && other.Value == Value;

    public override bool Equals(object? obj) => Equals(obj as TemplateText);

    public override int GetHashCode() => Value.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Value;
}
