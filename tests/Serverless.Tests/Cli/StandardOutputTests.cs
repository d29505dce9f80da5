using System.IO.Pipes;
using Serverless.Cli.Shell;
using Shouldly;

namespace Serverless.Tests.Cli;

/// <summary>Alone: a process that another test starts has every open pipe of this one for a moment.</summary>
[Collection(nameof(StandardOutputTests))]
[CollectionDefinition(nameof(StandardOutputTests), DisableParallelization = true)]
public sealed class StandardOutputTests
{
    [Fact]
    public void A_pipe_whose_reader_has_gone_is_seen_without_writing()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no poll");
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        var descriptor = pipe.SafePipeHandle.DangerousGetHandle().ToInt32();
        StandardOutput.HasNoReader(descriptor).ShouldBeFalse();

        pipe.DisposeLocalCopyOfClientHandle();

        StandardOutput.HasNoReader(descriptor).ShouldBeTrue();
    }
}
