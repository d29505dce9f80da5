using Microsoft.Extensions.DependencyInjection.Extensions;
using Serverless.Catalog.Engines;
using Serverless.Engines;
using Serverless.Hosting.Engines.InProcess;
using Serverless.Hosting.Engines.OpenAi;
using Serverless.Hosting.Engines.OpenAi.Generic;
using Serverless.Hosting.Engines.OpenAi.LlamaCpp;
using Serverless.Hosting.Engines.OpenAi.Ollama;
using Serverless.Hosting.Engines.OpenAi.SgLang;
using Serverless.Hosting.Engines.OpenAi.TensorRt;
using Serverless.Hosting.Engines.OpenAi.Tgi;
using Serverless.Hosting.Engines.OpenAi.Vllm;
using Serverless.Hosting.Engines.Simulated;
using Serverless.Inference.Batching;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the engines.</summary>
public static class EngineServices
{
    /// <summary>All engines: what a process knows of them (<see cref="EngineTable"/>), and how it loads one (<see cref="EngineCatalog"/>). One line each.</summary>
    public static IServiceCollection AddEngines(this IServiceCollection services)
    {
        services.AddLogging();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(_ => new CoreBudget(Environment.ProcessorCount));
        services.TryAddSingleton<EngineCatalog>();
        services.TryAddSingleton(provider => new EngineTable(provider.GetServices<IEngineFactory>().Select(factory => factory.Descriptor)));
        return services
            .AddEngine<InProcessEngineFactory>()
            .AddEngine<SimulatedEngineFactory>()
            .AddEngine<OpenAiEngineFactory<LlamaCppDialect>>()
            .AddEngine<OpenAiEngineFactory<VllmDialect>>()
            .AddEngine<OpenAiEngineFactory<SgLangDialect>>()
            .AddEngine<OpenAiEngineFactory<TgiDialect>>()
            .AddEngine<OpenAiEngineFactory<TensorRtDialect>>()
            .AddEngine<OpenAiEngineFactory<OllamaDialect>>()
            .AddEngine<OpenAiEngineFactory<GenericDialect>>();
    }

    /// <summary>One engine more.</summary>
    public static IServiceCollection AddEngine<TFactory>(this IServiceCollection services)
        where TFactory : class, IEngineFactory
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEngineFactory, TFactory>());
        return services;
    }

    /// <summary>What is known of the engines, for a command that has no host.</summary>
    public static EngineTable KnownEngines()
    {
        using var provider = new ServiceCollection().AddEngines().BuildServiceProvider();
        return provider.GetRequiredService<EngineTable>();
    }
}
