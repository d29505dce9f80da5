using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Catalog.Recipes;
using Serverless.Engines;
using Serverless.Hosting.Engines.OpenAi;
using Serverless.Hosting.Engines.OpenAi.LlamaCpp;
using Serverless.Hosting.Engines.OpenAi.Ollama;
using Serverless.Hosting.Engines.OpenAi.SgLang;
using Serverless.Hosting.Engines.OpenAi.TensorRt;
using Serverless.Hosting.Engines.OpenAi.Tgi;
using Serverless.Hosting.Engines.OpenAi.Vllm;
using Shouldly;

namespace Serverless.Tests.Engines;

/// <summary>Engines as children of the worker: their command lines, and what is said of one that does not come up.</summary>
public sealed class EngineLaunchTests
{
    private static readonly ModelSource File = new("host", "/m.gguf");
    private static readonly ModelSource Hub = new("huggingface", "org/m", "main");

    [Fact]
    public void The_command_lines()
    {
        LineOf<LlamaCppDialect>(File, ("server", "llama-server"), ("threads", "2"), ("args", "-fa on")).ShouldBe("-m /m.gguf --host 127.0.0.1 --port 8001 -np 4 -c 4000 --metrics --slots --jinja -t 2 -fa on");
        LineOf<VllmDialect>(Hub, ("server", "vllm")).ShouldBe("serve org/m --host 127.0.0.1 --port 8001 --served-model-name tiny --max-model-len 1000 --max-num-seqs 256 --enable-prompt-tokens-details");
        LineOf<VllmDialect>(Hub with { Revision = "v2" }, ("server", "vllm"), ("slots", "8"), ("scheduling", "priority"), ("servedName", "m"), ("args", "--tensor-parallel-size 2 --speculative-config '{\"method\": \"ngram\"}'"))
            .ShouldBe("serve org/m --host 127.0.0.1 --port 8001 --served-model-name m --max-model-len 1000 --max-num-seqs 8 --enable-prompt-tokens-details --revision v2 --scheduling-policy priority --tensor-parallel-size 2 --speculative-config {\"method\": \"ngram\"}");
        LineOf<SgLangDialect>(Hub, ("server", "sglang")).ShouldBe("serve --model-path org/m --host 127.0.0.1 --port 8001 --served-model-name tiny --context-length 1000 --max-running-requests 256 --enable-metrics");
        LineOf<SgLangDialect>(Hub, ("server", "/venv/bin/python3"), ("scheduling", "priority"))
            .ShouldBe("-m sglang.launch_server --model-path org/m --host 127.0.0.1 --port 8001 --served-model-name tiny --context-length 1000 --max-running-requests 256 --enable-metrics --enable-priority-scheduling --schedule-low-priority-values-first");
        LineOf<TgiDialect>(Hub, ("server", "text-generation-launcher")).ShouldBe("--model-id org/m --hostname 127.0.0.1 --port 8001 --max-concurrent-requests 128 --max-total-tokens 1000");
        LineOf<TensorRtDialect>(new ModelSource("host", "/engines/m"), ("server", "trtllm-serve")).ShouldBe("/engines/m --host 127.0.0.1 --port 8001 --max_batch_size 256 --max_seq_len 1000");
        LineOf<OllamaDialect>(new ModelSource("ollama", "llama3.2"), ("server", "ollama")).ShouldBe("OLLAMA_CONTEXT_LENGTH=1000 OLLAMA_HOST=127.0.0.1:8001 OLLAMA_NUM_PARALLEL=4 serve");
    }

    /// <summary>After the flavor's, as an engine takes the last of two.</summary>
    [Fact]
    public void What_a_Playground_adds_comes_last()
    {
        var pool = StubEngine.PoolOf("vllm", Hub, ("server", "vllm"), ("args", "-a"));
        var runtime = new RuntimeConfig { Args = ["--x={{ .ModelPath }}", "a b"], Envs = [new RecipeVariable("VLLM_LOGGING_LEVEL", "DEBUG")] };

        var launch = new OpenAiEngineFactory<VllmDialect>(TimeProvider.System, NullLoggerFactory.Instance).LaunchOf(pool with { Model = pool.Model with { Runtime = runtime } }, 8001);

        launch.Arguments.TakeLast(3).ShouldBe(["-a", "--x=org/m", "a b"]);
        launch.Environment.ShouldBe([new("VLLM_LOGGING_LEVEL", "DEBUG")]);
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("  -a  b\tc\n", "-a|b|c")]
    [InlineData("--x='a b' \"c 'd'\" ''", "--x=a b|c 'd'|")]
    [InlineData("'{\"a\": 1}'", "{\"a\": 1}")]
    [InlineData("a 'b", null)]
    public void Arguments_are_split_as_a_shell_splits_them(string text, string? arguments) => (ArgumentText.Split(text) is { } split ? string.Join('|', split) : null).ShouldBe(arguments);

    [Theory]
    [InlineData("s3", "a vllm server is given files of this machine (host://) or a model of Huggingface")]
    [InlineData("modelscope", "comes from modelscope")]
    public void What_an_engine_cannot_read_itself_is_a_load_fault(string scheme, string reason) => Should.Throw<EngineLoadException>(() => LineOf<VllmDialect>(new ModelSource(scheme, "org/m"), ("server", "vllm"))).Message.ShouldContain(reason);

    [Fact]
    public void A_quote_that_is_left_open_is_a_load_fault() => Should.Throw<EngineLoadException>(() => LineOf<VllmDialect>(Hub, ("server", "vllm"), ("args", "--a 'b"))).Message.ShouldContain("opens a quote");

    [Fact]
    public async Task A_program_that_is_not_there_is_a_load_fault() =>
        (await Should.ThrowAsync<EngineLoadException>(() => StubEngine.LoadAsync<VllmDialect>(StubEngine.PoolOf("vllm", Hub, ("server", "no-such-vllm")), TimeProvider.System))).Message.ShouldContain("there is no program 'no-such-vllm' here");

    /// <summary>It runs with the arguments and the environment that its dialect gives it, and what it says last is told.</summary>
    [Fact]
    public async Task One_that_goes_while_it_loads_is_a_load_fault_with_what_it_said()
    {
        var folder = Directory.CreateTempSubdirectory("engine").FullName;
        try
        {
            var program = Path.Combine(folder, "ollama");
            await System.IO.File.WriteAllTextAsync(program, "#!/bin/sh\necho \"$@ on $OLLAMA_HOST: no card\" >&2\nexit 3\n", TestContext.Current.CancellationToken);
            if (!OperatingSystem.IsWindows()) System.IO.File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);

            var fault = await Should.ThrowAsync<EngineLoadException>(() => StubEngine.LoadAsync<OllamaDialect>(StubEngine.PoolOf("ollama", new ModelSource("ollama", "m"), ("server", program)), TimeProvider.System).WithinLimitAsync());

            fault.Message.ShouldContain("ollama went while it loaded 'm'; it said last:\nserve on 127.0.0.1:");
            fault.Message.ShouldContain("no card");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static string LineOf<TDialect>(ModelSource source, params (string Name, string Value)[] parameters)
        where TDialect : EngineDialect, new()
    {
        var launch = new OpenAiEngineFactory<TDialect>(TimeProvider.System, NullLoggerFactory.Instance).LaunchOf(StubEngine.PoolOf(new TDialect().Name, source, parameters), 8001);
        return string.Join(' ', launch.Environment.OrderBy(variable => variable.Key, StringComparer.Ordinal).Select(variable => $"{variable.Key}={variable.Value}").Concat(launch.Arguments));
    }
}
