using System.Text.Json;
using Serverless.Catalog;

namespace Serverless.Gateway.OpenAI;

/// <summary><c>GET /v1/models</c>: what may be asked for, running or at zero.</summary>
internal static class ModelsBody
{
    public static byte[] Encode(Model model) => JsonBody.Encode(json => Write(json, model));

    public static byte[] Encode(ModelCatalog catalog) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        json.WriteString(Names.Object, "list");
        json.WriteStartArray("data");
        foreach (var model in catalog.Models) Write(json, model);
        json.WriteEndArray();
        json.WriteEndObject();
    });

    private static void Write(Utf8JsonWriter json, Model model)
    {
        json.WriteStartObject();
        json.WriteString(Names.Id, model.Name.Value);
        json.WriteString(Names.Object, "model");
        json.WriteNumber(Names.Created, model.CreatedAt.ToUnixTimeSeconds());
        json.WriteString("owned_by", model.OwnedBy);
        json.WriteNumber("max_model_len", model.ContextTokens);
        json.WriteEndObject();
    }
}
