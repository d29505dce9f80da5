using Serverless.Hosting.Engines.OpenAi;
using Serverless.Hosting.Engines.OpenAi.Generic;
using Serverless.Hosting.Engines.OpenAi.LlamaCpp;
using Serverless.Hosting.Engines.OpenAi.Ollama;
using Serverless.Hosting.Engines.OpenAi.SgLang;
using Serverless.Hosting.Engines.OpenAi.TensorRt;
using Serverless.Hosting.Engines.OpenAi.Tgi;
using Serverless.Hosting.Engines.OpenAi.Vllm;

namespace Serverless.Tests.Engines;

internal static class Dialects
{
    public static IReadOnlyList<EngineDialect> All { get; } = [new LlamaCppDialect(), new VllmDialect(), new SgLangDialect(), new TgiDialect(), new TensorRtDialect(), new OllamaDialect(), new GenericDialect()];

    public static EngineDialect Of(string name) => All.Single(dialect => dialect.Name == name);
}
