using System.Text.Json;

namespace Serverless.Hosting;

/// <summary>Reads JSON that others wrote: what is of another kind is not there. Text that is no Unicode (half of a surrogate pair) throws <see cref="InvalidOperationException"/>: it is not to be passed over.</summary>
internal static class LooseJson
{
    public static JsonElement? Get(this JsonElement element, string name) => element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public static string? Text(this JsonElement element, string name) => element.Get(name) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    public static int? Int(this JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) ? number : null;

    public static long? Long(this JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? number : null;
}
