using System.Text.Json.Nodes;
using Serverless.Catalog.Manifests;

namespace Serverless.Hosting.Manifests;

/// <summary>A list of objects in one document, as <c>kubectl get -o yaml</c> writes it (<c>kind: List</c>) and the API itself (<c>kind: OpenModelList</c>): each item is a manifest.</summary>
internal static class ManifestList
{
    private const string ListKind = "List";

    public static bool IsOne(JsonObject content) => KindOf(content).EndsWith(ListKind, StringComparison.Ordinal) && content.ContainsKey("items");

    /// <exception cref="YamlFault">What it holds is no list of objects.</exception>
    public static IEnumerable<Manifest> Items(Manifest list)
    {
        if (list.Content["items"] is not JsonArray items) throw Fault(list, "items", "must be a list of objects");

        for (var i = 0; i < items.Count; i++)
        {
            var place = FieldPath.Item("items", i);
            if (items[i] is not JsonObject item) throw Fault(list, place, "must be an object with apiVersion, kind, metadata and spec");
            if (IsOne(item)) throw Fault(list, place, "is a list in a list; write its items beside the others");

            // Items of the API's own lists do not repeat what the list says.
            item = (JsonObject)item.DeepClone();
            if (KindOf(list.Content) is { Length: > 4 } kind) item.TryAdd("kind", kind[..^ListKind.Length]);
            if (KindOf(list.Content) != ListKind && !item.ContainsKey("apiVersion")) item["apiVersion"] = list.Content["apiVersion"]?.DeepClone();
            yield return list with { Content = item, Lines = LinesOf(list, place) };
        }
    }

    /// <summary>Lines by the item's own paths.</summary>
    private static Dictionary<string, int> LinesOf(Manifest list, string place) =>
        list.Lines.Where(line => line.Key.StartsWith(place, StringComparison.Ordinal))
            .ToDictionary(line => line.Key.Length > place.Length ? line.Key[(place.Length + 1)..] : "", line => line.Value, StringComparer.Ordinal);

    private static string KindOf(JsonObject content) => content["kind"] is JsonValue value && value.TryGetValue<string>(out var kind) ? kind : "";

    private static YamlFault Fault(Manifest list, string field, string message) =>
        new(list.Lines.TryGetValue(field, out var line) ? line : null, field, null, message);
}
