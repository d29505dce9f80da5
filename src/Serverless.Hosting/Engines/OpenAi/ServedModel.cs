using System.Text.Json;
using Serverless.Catalog;
using Serverless.Engines;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>The model that an engine is to be asked for, out of its <c>/v1/models</c>.</summary>
/// <param name="Name">What it calls it.</param>
/// <param name="ContextTokens">Of a sequence; null: it does not say.</param>
internal sealed record ServedModel(string Name, int? ContextTokens)
{
    private const int MostNamed = 10;

    /// <summary>The one that the flavor names, that is called as the model is here or at its source, or the only one there is.</summary>
    /// <exception cref="EngineLoadException">It is none of those.</exception>
    public static async Task<ServedModel> FindAsync(EngineQuestions ask, EngineDialect dialect, Pool pool, CancellationToken cancellationToken)
    {
        var answer = await ask.JsonAsync("v1/models", cancellationToken);
        var all = answer.Get("data") is { ValueKind: JsonValueKind.Array } data ? data.EnumerateArray().Where(model => model.Text("id") is not null).ToArray() : [];
        var wanted = pool.Flavor.Params.GetValueOrDefault(OpenAiParams.ServedName.Name);
        string[] names = wanted is null ? [pool.Model.Name.Value, pool.Model.Source.Location] : [wanted];
        foreach (var name in names)
        {
            if (Array.Find(all, model => IsNamed(model.Text("id")!, name)) is { ValueKind: JsonValueKind.Object } found) return Of(found);
        }

        var own = all.Where(model => model.Text("parent") is null).ToArray(); // not the adapters of one
        if (wanted is null && own is [var only]) return Of(only);

        var has = all.Length == 0 ? "it has none" : $"it has {string.Join(", ", all.Take(MostNamed).Select(model => model.Text("id")))}{(all.Length > MostNamed ? ", …" : "")}";
        throw new EngineLoadException($"Pool '{pool.Name}': the {dialect.Name} engine at {ask.Address} has no model '{names[0]}'; {has}: write what it calls the model as the flavor's parameter '{OpenAiParams.ServedName.Name}', or load it there.");
    }

    private static ServedModel Of(JsonElement model) => new(model.Text("id")!, model.Get("max_model_len")?.Int());

    /// <summary>Ollama's <c>name</c> is <c>name:latest</c>.</summary>
    private static bool IsNamed(string id, string name) => id == name || id == name + ":latest";
}
