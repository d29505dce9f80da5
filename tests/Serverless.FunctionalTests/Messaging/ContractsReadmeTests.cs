using MassTransit;
using Serverless.Contracts;
using Shouldly;

namespace Serverless.FunctionalTests.Messaging;

/// <summary>What the package's README shows, run as it stands.</summary>
public sealed class ContractsReadmeTests
{
    [Fact]
    public async Task Its_lines_are_these()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var bus = service.Bus;

#pragma warning disable MA0040, xUnit1051 // a reader of the page has no token yet
        // The lines of src/Serverless.Contracts/README.md; a test of the pages compares them.
        var client = bus.CreateRequestClient<SubmitInference>(RequestTimeout.After(m: 10));
        var response = await client.GetResponse<InferenceCompleted, InferenceFailed>(new SubmitInference
        {
            Body = """{"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "Say hello."}]}""",
        });
        if (response.Is(out Response<InferenceCompleted>? completed)) Console.WriteLine(completed.Message.Body);
#pragma warning restore MA0040, xUnit1051

        response.Is(out Response<InferenceFailed>? failed).ShouldBeTrue("this gateway has another model");
        failed!.Message.Code.ShouldBe("model_not_found");
    }
}
